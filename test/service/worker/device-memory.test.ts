/** What an engine keeps of a GPU's memory: the rules with a scripted allocator, and a whole process that believes it has a GPU. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";

import { DeviceMemory, deviceMemoryLimits, type MemoryOperations } from "../../../src/service/worker/device-memory.ts";
import { mx } from "../../../src/service/worker/mlx.ts";
import type { FromWorker, WorkerMemory } from "../../../src/service/worker/protocol/from-worker.ts";
import type { ToWorker } from "../../../src/service/worker/protocol/to-worker.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";
import { greedySubmission } from "../../../scripts/greedy-submission.ts";

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

/** Remembers what it is asked, in order. */
const scripted = (overrides: Partial<MemoryOperations> = {}) => {
  const asked: string[] = [];
  const limit = (name: string) => (bytes: number) => {
    asked.push(`${name} ${bytes}`);
    return 0;
  };
  const operations: MemoryOperations = {
    isAvailable: () => true,
    getActiveMemory: () => 30,
    getCacheMemory: () => 20,
    getPeakMemory: () => 50,
    setCacheLimit: limit("cache"),
    setMemoryLimit: limit("memory"),
    setWiredLimit: limit("wired"),
    clearCache: () => void asked.push("clear"),
    deviceInfo: () => ({ max_recommended_working_set_size: 12 * gibibyte }),
    ...overrides,
  };
  return { memory: new DeviceMemory(operations), operations, asked };
};

describe("what MLX may keep of a GPU's memory", () => {
  it("follows from what was reserved for the process", () => {
    const limits = deviceMemoryLimits(4 * gibibyte, 12 * gibibyte);
    assert.deepEqual(limits, { cache: gibibyte / 2, memory: 4 * gibibyte, wired: 4 * gibibyte });
  });

  it("is a cache of 64 MiB at least and 1 GiB at most", () => {
    assert.strictEqual(deviceMemoryLimits(100 * mebibyte, undefined).cache, 64 * mebibyte);
    assert.strictEqual(deviceMemoryLimits(100 * gibibyte, undefined).cache, gibibyte);
  });

  it("is never wired beyond the working set, and not at all where that is not told", () => {
    assert.strictEqual(deviceMemoryLimits(16 * gibibyte, 12 * gibibyte).wired, 12 * gibibyte);
    assert.strictEqual(deviceMemoryLimits(16 * gibibyte, undefined).wired, 0);
  });

  it("is set once, and wired while there is work", () => {
    const { memory, asked } = scripted();
    memory.limit(4 * gibibyte);
    memory.wire();
    memory.unwire();
    memory.unwire();
    memory.wire();
    const wired = `wired ${4 * gibibyte}`;
    assert.deepEqual(asked, [`cache ${gibibyte / 2}`, `memory ${4 * gibibyte}`, wired, "wired 0", wired]);
  });

  it("is left to the system on a CPU, and to the bounds that a binding has", () => {
    const cpu = scripted({ isAvailable: () => false });
    cpu.memory.limit(gibibyte);
    cpu.memory.unwire();
    cpu.memory.wire();
    assert.deepEqual(cpu.asked, []);
    const older = scripted();
    const {
      getPeakMemory: _,
      setMemoryLimit: __,
      setWiredLimit: ___,
      deviceInfo: ____,
      ...operations
    } = older.operations;
    const memory = new DeviceMemory(operations);
    memory.limit(gibibyte);
    memory.unwire();
    assert.deepEqual(older.asked, [`cache ${128 * mebibyte}`]);
    assert.strictEqual(memory.use.peakBytes, 0);
  });

  it("is not wired, and serves, where the system refuses that", () => {
    const refused = scripted({
      setWiredLimit: () => {
        throw new Error("[metal::set_wired_limit] Setting a wired limit larger than the maximum working set size");
      },
    });
    refused.memory.limit(4 * gibibyte);
    refused.memory.unwire();
    refused.memory.wire();
    assert.lengthOf(refused.asked, 2);
  });

  it("is given back after a slice of a prompt, and once more when the device is surely past it", () => {
    const { memory, asked } = scripted();
    memory.afterStep(false);
    assert.deepEqual(asked, []);
    memory.afterStep(true);
    memory.afterStep(false);
    memory.afterStep(false);
    assert.deepEqual(asked, ["clear", "clear"]);
  });
});

const submission = greedySubmission(
  1,
  Array.from({ length: 100 }, (_, place) => 1 + (place % 200)),
  8,
  { minOutputTokens: 8 },
);

/** An engine process of which a test sees what it says and what it asks of the GPU's memory, in order. */
const startOnFakeMetal = (directory: string) => {
  const worker = fork(fileURLToPath(new URL("../../../src/service/worker/main.ts", import.meta.url)), {
    execArgv: ["--expose-gc", "--import", new URL("fake-metal.ts", import.meta.url).href],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, MLXD_BINDING: "own" },
  });
  const asked: string[] = [];
  let stderr = "";
  worker.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    const lines = stderr.split("\n");
    stderr = lines.pop() ?? "";
    asked.push(...lines.filter((line) => line.startsWith("memory: ")).map((line) => line.slice("memory: ".length)));
  });
  const memories: WorkerMemory[] = [];
  worker.on("message", (message: FromWorker) => {
    if ("memory" in message) memories.push(message.memory);
  });
  const send = (message: ToWorker): void => void worker.send(message);
  send({
    type: "load",
    directory,
    limits: { maxBatch: 4, prefillSliceTokens: 32, kvCacheBytes: gibibyte, prefixCacheBytes: 0, maxAdapters: 1 },
    reservedBytes: 4 * gibibyte,
    takesTurns: false,
    weights: "auto",
    speculation: "off",
  });
  /** Until it has been so, or the process is gone. */
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    while (!holds()) {
      if (worker.exitCode !== null) throw new Error(`the process ended before ${what}: ${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const end = async (): Promise<void> => {
    const ended = once(worker, "exit");
    send({ type: "end" });
    await ended;
  };
  return { asked, memories, send, until, end };
};

describe("an engine process with a GPU", () => {
  it("sets limits before it loads, clears the cache of each layer, after a prompt and at rest, and wires for work alone", async (context) => {
    if (mx.binding !== "own") return context.skip("node-mlx has none of these limits");
    const shape = { modelType: "llama", hiddenSize: 32, layers: 3, heads: 4, kvHeads: 2, vocabularySize: 256 } as const;
    const { asked, memories, send, until, end } = startOnFakeMetal(
      writeRandomCheckpoint(shape, {}, { type: "bfloat16" }),
    );
    const clearings = () => asked.filter((line) => line === "clearCache").length;
    const wired = `setWiredLimit ${4 * gibibyte}`;
    await until("it rested", () => asked.at(-1) === "setWiredLimit 0");
    assert.deepEqual(asked.slice(0, 3), [`setCacheLimit ${gibibyte / 2}`, `setMemoryLimit ${4 * gibibyte}`, wired]);
    assert.isAtLeast(clearings(), shape.layers + 1, "of each layer, and at rest");
    const beforeWork = asked.length;
    send(submission);
    await until("it rested again", () => asked.slice(beforeWork).includes("setWiredLimit 0"));
    const during = asked.slice(beforeWork);
    assert.strictEqual(during[0], wired);
    assert.isAtLeast(during.filter((line) => line === "clearCache").length, 3, "after the prompt, twice, and at rest");
    assert.strictEqual(during.at(-2), "clearCache");
    await until("its last word", () => (memories.at(-1)?.mlxCacheBytes ?? 1) === 0);
    const last = memories.at(-1);
    // Each layer's matrices are 4 x 32 x 32 and 3 x 32 x 64 numbers of two bytes.
    assert.isAtLeast(last?.mlxActiveBytes ?? 0, 3 * 2 * 32 * 32 * 9);
    assert.isAtLeast(last?.mlxPeakBytes ?? 0, last?.mlxActiveBytes ?? 1);
    await end();
  });
});
