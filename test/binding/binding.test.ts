import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, assert, describe, it } from "@effect/vitest";

import type { Tensor } from "../../src/service/worker/binding/core.ts";
import { loadOwn } from "../../src/service/worker/binding/own.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { binding as mx } from "./binding.ts";

const folder = mkdtempSync(join(tmpdir(), "mlxd-binding-"));
afterAll(() => rmSync(folder, { recursive: true }));

const root = join(import.meta.dirname, "../..");
const prebuilt = join(root, "binding/prebuilt");
const manifest = JSON.parse(readFileSync(join(prebuilt, "manifest.json"), "utf8")) as {
  readonly mlx: string;
  readonly files: Record<string, { readonly sha256: string; readonly bytes: number }>;
};

describe("the files in binding/prebuilt", () => {
  it("are those that the manifest tells of, for every kind of machine", () => {
    assert.deepEqual(Object.keys(manifest.files), ["darwin-arm64.node", "linux-arm64.node", "linux-x64.node"]);
    for (const [file, { sha256 }] of Object.entries(manifest.files)) {
      const found = createHash("sha256")
        .update(readFileSync(join(prebuilt, file)))
        .digest("hex");
      assert.strictEqual(found, sha256, file);
    }
  });

  it("are built for the version of MLX that is fetched", () => {
    assert.strictEqual(mx.version, manifest.mlx);
    assert.include(readFileSync(join(root, "binding/requirements.txt"), "utf8"), `mlx-cpu==${manifest.mlx}`);
  });
});

describe("values", () => {
  it("come in as numbers, nested arrays and typed arrays", () => {
    assert.strictEqual(mx.array(2.5).item(), 2.5);
    assert.deepEqual(
      mx
        .array(
          [
            [1, 2],
            [3, 4],
          ],
          mx.int32,
        )
        .tolist(),
      [
        [1, 2],
        [3, 4],
      ],
    );
    assert.deepEqual(mx.array(new Uint16Array([1, 65535])).tolist(), [1, 65535]);
    assert.deepEqual(mx.array(new Float32Array([1.5, -2]).subarray(1)).tolist(), [-2]);
    assert.deepEqual(mx.array([], mx.int32).tolist(), []);
  });

  it("keep whole numbers that 32-bit floats do not", () => {
    assert.deepEqual(mx.array([2 ** 24 + 1, 2 ** 31 - 1], mx.int32).tolist(), [2 ** 24 + 1, 2 ** 31 - 1]);
    assert.strictEqual(mx.array(2 ** 32 - 1, mx.uint32).item(), 2 ** 32 - 1);
  });

  it("go out as typed arrays, 16-bit floats as 32 bits", () => {
    assert.deepEqual(mx.array([1, 2], mx.int32).toTypedArray(), Int32Array.of(1, 2));
    assert.deepEqual(mx.array([0.5, 2], mx.bfloat16).toTypedArray(), Float32Array.of(0.5, 2));
    assert.deepEqual(
      mx
        .array([
          [1, 2],
          [3, 4],
        ])
        .transpose()
        .toTypedArray(),
      Float32Array.of(1, 3, 2, 4),
    );
  });
});

describe("an index", () => {
  const a = mx.arange(0, 24, 1, mx.int32).reshape(2, 3, 4);

  it("takes slices, places, new axes, an ellipsis and a tensor of places", () => {
    assert.deepEqual(a.index(1, mx.Slice(0, 2), mx.Slice(null, null, 2)).tolist(), [
      [12, 14],
      [16, 18],
    ]);
    assert.deepEqual(a.index("...", -1).tolist(), [
      [3, 7, 11],
      [15, 19, 23],
    ]);
    assert.deepEqual(a.index(0, null, mx.Slice(-1)).shape, [1, 1, 4]);
    assert.deepEqual(a.index(0, mx.array([2, 0], mx.int32), 0).tolist(), [8, 0]);
    assert.deepEqual(a.index(mx.Slice(5, 9)).shape, [0, 3, 4]);
  });

  it("is written to in place where nothing else holds the array", () => {
    const cache = mx.zeros([64, 1024]);
    mx.eval(cache);
    mx.resetPeakMemory();
    const before = mx.getActiveMemory();
    for (let row = 0; row < 64; row++) {
      const value = mx.full([1, 1024], row);
      cache.indexPut_([mx.Slice(row, row + 1)], value);
      mx.eval(cache);
      value.dispose();
    }
    assert.isBelow(mx.getPeakMemory() - before, cache.nbytes / 2);
    assert.deepEqual(cache.index(mx.Slice(), 7).tolist(), [...Array.from({ length: 64 }).keys()]);
  });

  it("leaves other arrays as they were when it is written to", () => {
    const first = mx.zeros([2, 2]);
    const view = first.index(0);
    first.indexPut_(0, mx.array([1, 2]));
    first.indexPut_([1, mx.Slice(0, 1)], 5);
    assert.deepEqual(view.tolist(), [0, 0]);
    assert.deepEqual(first.tolist(), [
      [1, 2],
      [5, 0],
    ]);
  });
});

describe("memory", () => {
  const megabyte = (): Tensor => {
    const made = mx.zeros([512, 512]);
    mx.eval(made);
    return made;
  };

  it("is free the moment a tensor is disposed of", () => {
    const before = mx.getActiveMemory();
    const made = megabyte();
    assert.strictEqual(mx.getActiveMemory() - before, 2 ** 20);
    made.dispose();
    assert.strictEqual(mx.getActiveMemory(), before);
    made.dispose();
    assert.throws(() => made.shape, "this tensor has been disposed of");
    assert.throws(() => mx.add(made, 1), "this tensor has been disposed of");
    assert.throws(() => made.indexPut_(0, 1), "this tensor has been disposed of");
  });

  it("of a scope is free when it closes, but for what was kept", () => {
    const before = mx.getActiveMemory();
    const outer = mx.openScope();
    const kept = megabyte().keep();
    const inner = mx.openScope();
    const [gone, returned] = [megabyte(), megabyte()];
    mx.closeScope(inner, returned);
    assert.throws(() => gone.tolist(), "disposed of");
    assert.strictEqual(returned.size, 2 ** 18);
    mx.closeScope(outer);
    assert.throws(() => returned.tolist(), "disposed of");
    assert.strictEqual(mx.getActiveMemory() - before, 2 ** 20);
    kept.dispose();
    assert.strictEqual(mx.getActiveMemory(), before);
  });

  it("of scopes is not mixed up", () => {
    const [outer, inner] = [mx.openScope(), mx.openScope()];
    assert.throws(() => mx.closeScope(outer), "from the innermost");
    mx.closeScope(inner);
    mx.closeScope(outer);
    assert.throws(() => mx.closeScope(outer), "from the innermost");
  });

  it("is freed by the collector where nobody disposes of it, as V8 is told of it", async () => {
    const before = mx.getActiveMemory();
    let most = 0;
    for (let round = 0; round < 2000; round++) {
      megabyte();
      if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, mx.getActiveMemory() - before);
    }
    assert.isBelow(most, 1000 * 2 ** 20);
  });

  it("has limits", () => {
    const before = mx.setCacheLimit(2 ** 20);
    assert.strictEqual(mx.setCacheLimit(before), 2 ** 20);
    mx.clearCache();
    assert.strictEqual(mx.getCacheMemory(), 0);
    assert.isAbove(mx.getMemoryLimit(), 2 ** 20);
  });
});

describe("what cannot be done is an error", () => {
  const a = mx.zeros([2, 3]);
  const refused: ReadonlyArray<readonly [name: string, attempt: () => unknown, message: string]> = [
    ["shapes that do not fit", () => mx.matmul(a, a), "[matmul]"],
    ["shapes that cannot be broadcast", () => mx.add(a, mx.zeros([4])), "cannot be broadcast"],
    ["another number of elements", () => a.reshape(4, 2), "[reshape]"],
    ["an axis too many", () => mx.sum(a, 2), "axis"],
    ["a type that an operation has not", () => mx.bitwiseAnd(a, a), "[bitwise_and]"],
    ["products of integers", () => mx.matmul(a.astype(mx.int32), a.transpose().astype(mx.int32)), "[matmul]"],
    ["groups that do not divide", () => mx.quantize(mx.zeros([2, 40]), 32, 4, "affine"), "[quantize]"],
    ["a mode that is none", () => mx.quantize(mx.zeros([2, 64]), 32, 4, "none"), "none"],
    ["a place that is not there", () => a.index(2), "place 2 of an axis of 2"],
    ["more parts than dimensions", () => a.index(0, 0, 0), "3 parts for an array of 2 dimensions"],
    ["rows of several lengths", () => mx.array([[1], [1, 2]]), "rows have to be of one length"],
    ["a missing argument", () => mx.add(a, undefined as never), "add: argument 2 has to be a tensor or a number"],
    ["another object", () => mx.exp({} as never), "exp: argument 1 has to be a tensor, not another object"],
    ["an object with a tensor's methods", () => mx.exp(Object.create(a) as never), "has to be a tensor"],
    ["a fraction of an axis", () => mx.take(a, 0.5, 0), "take: argument 2 has 0.5"],
    ["a negative size", () => mx.zeros([-1]), "zeros: argument 1 has to be sizes of 0 and more"],
    ["a type that only looks like one", () => a.astype({ size: 4, code: 11 } as never), "a type of elements"],
    ["a file that is not there", () => mx.load(join(folder, "none.safetensors")), "none.safetensors"],
    ["a terabyte", () => mx.eval(mx.add(mx.zeros([2 ** 20, 2 ** 18]), 1)), "unable to allocate 1099511627776 bytes"],
  ];
  it.each(refused)("%s", (_, attempt, message) => {
    assert.throws(attempt, message);
    assert.deepEqual(mx.add(a, 1).tolist(), [
      [1, 1, 1],
      [1, 1, 1],
    ]);
  });

  it("a weight file that lies about its length", () => {
    const file = join(folder, "lies.safetensors");
    const header = JSON.stringify({ a: { dtype: "F32", shape: [4], data_offsets: [0, 16] } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length + 1000));
    writeFileSync(file, Buffer.concat([length, Buffer.from(header), Buffer.alloc(16)]));
    assert.throws(() => mx.load(file));
  });

  it("a second thread", async () => {
    const code = `require("node:worker_threads").parentPort.postMessage(
      (() => { try { require(${JSON.stringify(join(prebuilt, `${process.platform}-${process.arch}.node`))}); return "loaded"; } catch (error) { return error.message; } })())`;
    const worker = new Worker(code, { eval: true });
    const message = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    await worker.terminate();
    assert.strictEqual(message, "MLX belongs to another thread of this process: it is loaded by one only");
  });
});

/** The kernels for a Linux CPU have lanes and a rest, and numbers that are none. */
describe("exponentials", () => {
  const spread = (count: number): number[] => Array.from({ length: count }, (_, i) => 9 * Math.sin(7 * i));

  it("are right to the last place but one, over all that float32 can hold", () => {
    const inputs = Float32Array.from({ length: 17_600 }, (_, i) => -87 + i * 0.01);
    const outputs = mx.exp(mx.array(inputs)).tolist() as number[];
    const errors = outputs.map((value, i) => Math.abs(value / Math.exp(inputs[i] ?? 0) - 1));
    assert.isBelow(Math.max(...errors.filter((_, i) => (inputs[i] ?? 0) < 88.7)), 2e-7);
  });

  it("of what is no number, or too large or small, are as IEEE has them", () => {
    const extremes = mx.array([-Infinity, -200, 0, 89, Infinity, NaN]);
    assert.deepEqual(mx.exp(extremes).tolist(), [0, 0, 1, Infinity, Infinity, NaN]);
    assert.deepEqual(mx.sigmoid(extremes).tolist(), [0, 0, 0.5, 1, 1, NaN]);
  });

  it.each([1, 15, 16, 17, 100])("add up to one in a softmax of %d, masked columns left out", (columns) => {
    const rows = [spread(columns), spread(columns).map((x, i) => (i % 3 === 0 ? x : -Infinity))];
    const shares = mx.softmax(mx.array(rows), -1).tolist() as number[][];
    for (const [row, values] of rows.entries()) {
      const best = Math.max(...values);
      const sum = values.reduce((total, value) => total + Math.exp(value - best), 0);
      for (const [i, value] of values.entries()) {
        assert.closeTo(shares[row]?.[i] ?? NaN, Math.exp(value - best) / sum, 1e-6);
      }
    }
  });

  it("are computed of views and of no elements", () => {
    const view = mx.array([spread(6), spread(6)]).transpose();
    const expected = (view.tolist() as number[][]).map((row) => row.map(Math.exp));
    for (const [row, values] of (mx.exp(view).tolist() as number[][]).entries()) {
      for (const [i, value] of values.entries()) assert.closeTo(value / (expected[row]?.[i] ?? NaN), 1, 1e-6);
    }
    assert.deepEqual(mx.softmax(mx.zeros([2, 0]), -1).shape, [2, 0]);
    assert.deepEqual(mx.exp(mx.zeros([0])).tolist(), []);
  });
});

describe("files", () => {
  it("hold what was written", () => {
    const file = join(folder, "two.safetensors");
    mx.saveSafetensors(file, { a: mx.array([1, 2], mx.bfloat16), b: mx.array([[7]], mx.uint32) });
    const { a, b } = mx.load(file);
    assert.strictEqual(a?.dtype, mx.bfloat16);
    assert.deepEqual(a?.tolist(), [1, 2]);
    assert.deepEqual(b?.tolist(), [[7]]);
  });
});

describe("exponentials on a CPU", () => {
  const edges = [-Infinity, -1e30, -104, -87.3, -1, -1e-9, 0, 1e-9, 1, 88, 88.8, 1e30, Infinity, NaN];
  // Longer than a vector, with a rest.
  const values = [...edges, ...Array.from({ length: 45 }, (_, place) => Math.sin(place * 7) * 20)];
  const within = (computed: number, exact: number, share: number): boolean =>
    Object.is(computed, exact) || Math.abs(computed - exact) <= Math.abs(exact) * share + 1.2e-38;

  it.each([
    ["exp", Math.exp],
    ["sigmoid", (x: number) => 1 / (1 + Math.exp(-x))],
  ] as const)("%s is right to some units in the last place, at the edges too", (name, exact) => {
    const [computed = []] = mx[name](mx.array([values])).tolist() as number[][];
    for (const [place, value] of values.entries()) {
      const expected = Math.fround(exact(Math.fround(value)));
      assert.isTrue(within(computed[place] ?? 0, expected, 1e-6), `${name}(${value}) is ${computed[place]}`);
    }
  });

  it("softmax of views, of masked rows and of lengths that are no vector's", () => {
    for (const columns of [1, 3, 15, 16, 17, 100]) {
      const rows = Array.from({ length: columns }, (_, row) =>
        Array.from({ length: 4 }, (_, column) => (row % 3 === 1 ? -Infinity : Math.cos(row * 5 + column) * 30)),
      );
      // Transposed: its rows are not side by side.
      const computed = mx.softmax(mx.array(rows).transpose(1, 0), -1).tolist() as number[][];
      for (const [row, shares] of computed.entries()) {
        const scores = rows.map((each) => Math.fround(each[row] ?? 0));
        const most = Math.max(...scores);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
        for (const [place, share] of shares.entries()) {
          assert.closeTo(share, Math.exp((scores[place] ?? 0) - most) / total, 1e-6);
        }
      }
    }
  });
});

describe("evaluation", () => {
  it("is started without waiting, and read later", () => {
    const made = mx.add(mx.zeros([4]), 1);
    mx.asyncEval(made, [mx.exp(made)]);
    assert.deepEqual(made.tolist(), [1, 1, 1, 1]);
  });

  it("happens on the stream that is the default", () => {
    const before = mx.defaultStream("cpu");
    const other = mx.newStream("cpu");
    mx.setDefaultStream(other);
    assert.strictEqual(mx.defaultStream("cpu").index, other.index);
    const made = mx.multiply(mx.array([3]), 2);
    mx.asyncEval(made);
    mx.synchronize(other);
    mx.setDefaultStream(before);
    assert.deepEqual(mx.add(made, 1).tolist(), [7]);
    assert.throws(() => mx.setDefaultStream({ index: 99 }), "argument 1 has to be a stream");
  });

  it("is told before: which operations are left to do", () => {
    const made = mx.matmul(mx.exp(mx.zeros([2, 2])), mx.zeros([2, 2]));
    assertMatches(mx.pendingPrimitives(made), { Exp: 1, Matmul: 1 });
    mx.eval(made);
    assert.deepEqual(mx.pendingPrimitives(made), {});
  });
});

describe("loading", () => {
  const addon = (name: string): string => join(prebuilt, `${name}.node`);
  const machine = `${process.platform}-${process.arch}`;
  const libraries = join(root, `.cache/mlx-${manifest.mlx}`);

  it("tells of a file that is cut off, and of what brings it back", () => {
    const cut = join(folder, `${machine}.node`);
    writeFileSync(cut, readFileSync(addon(machine)).subarray(0, 1000));
    const told = `${machine}.node has 1000 bytes instead of ${manifest.files[`${machine}.node`]?.bytes}: git checkout`;
    assert.throws(() => loadOwn({ addon: cut, libraries }), told);
  });

  it("tells of libraries that are not there, or cut off", () => {
    const other = join(folder, "libraries");
    const load = () => loadOwn({ addon: addon(machine), libraries: other });
    assert.throws(load, `the libraries of MLX ${manifest.mlx} are not there: scripts/with-mlx fetches them`);
    const package_ = process.platform === "darwin" ? "mlx_metal" : "mlx_cpu";
    const list = join(other, `${package_}-${manifest.mlx}.dist-info`);
    mkdirSync(list, { recursive: true });
    writeFileSync(join(list, "RECORD"), "mlx/lib/mlx.metallib,sha256=x,200\nmlx/lib/libmlx.so,sha256=x,100\n");
    assert.throws(load, "mlx.metallib has 0 bytes instead of 200: scripts/with-mlx fetches them");
  });

  it("says in one line that an addon is of another machine, or has no library beside it", () => {
    const load = (file: string): string => {
      const program = `try { require(${JSON.stringify(file)}) } catch (error) { console.log(error.message.split("\\n")[0]) }`;
      return spawnSync(process.execPath, ["-e", program], { encoding: "utf8" }).stdout.trim();
    };
    const strange = process.platform === "darwin" ? "linux-x64" : "darwin-arm64";
    assert.match(load(addon(strange)), /invalid ELF header|not a mach-o file/);
    const alone = join(folder, "alone.node");
    writeFileSync(alone, readFileSync(addon(machine)));
    assert.match(load(alone), /libmlx\.(so|dylib)/);
  });
});
