/** Adapters against mlx-lm's own loading of them, each alone and all in one batch: see test/fixtures/adapters/README.md. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, describe, it } from "@effect/vitest";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { openAdapter } from "../../../../src/service/worker/adapters/adapter-file.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { KVCache } from "../../../../src/service/worker/cache/kv-cache.ts";
import { LoadError } from "../../../../src/service/worker/files/load-error.ts";
import { collectBetweenSteps, mx, type Tensor } from "../../../../src/service/worker/mlx.ts";
import type { AdapterSource } from "../../../../src/service/worker/protocol/submit-message.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { saveTensors } from "../random-checkpoint.ts";
import { drive, limits, submission } from "../scheduler-run.ts";

const fixtures = fileURLToPath(new URL("../../../fixtures/adapters", import.meta.url));
const names = readdirSync(fixtures).filter((name) => !name.includes("."));

interface Run {
  readonly adapter: "wide" | "narrow" | null;
  readonly prompt_ids: readonly number[];
  readonly logits: readonly number[];
  readonly greedy_ids: readonly number[];
}

const runsOf = (name: string): readonly Run[] =>
  JSON.parse(readFileSync(join(fixtures, name, "golden.json"), "utf8")).runs;

const folderOf = (name: string, adapter: string) => join(fixtures, name, "adapters", adapter);

const submissionOf = (name: string, { adapter, prompt_ids, greedy_ids }: Run, sequence: number) =>
  submission(sequence, prompt_ids, {
    maxOutputTokens: greedy_ids.length,
    ...(adapter !== null && { adapter: { key: adapter, directory: folderOf(name, adapter) } }),
  });

const fill = (model: Model, slot: number, directory: string): void => {
  model.adapters.fill(slot, openAdapter(directory, model.adapters.parts)).toArray();
};

const logitsAfter = (model: Model, prompt: readonly number[]): readonly number[] => {
  const hidden = model.forward(mx.array([[...prompt]], mx.int32), new KVCache(model.cacheShape, [prompt.length], 0));
  const [, tokens = 0, size = 0] = hidden.shape;
  const last = hidden.index(mx.Slice(), mx.Slice(tokens - 1, tokens), mx.Slice()).reshape(1, size);
  const [logits = []] = model.logits(last).astype(mx.float32).tolist() as number[][];
  return logits;
};

describe("adapters", () => {
  assert.isAtLeast(names.length, 7);
  for (const name of names) {
    it(`change a ${name} as mlx-lm's do: its logits within 1e-4`, async () => {
      const model = await loadCheckpoint(join(fixtures, name));
      const slots = { wide: 1, narrow: 3 };
      for (const [adapter, slot] of Object.entries(slots)) fill(model, slot, folderOf(name, adapter));
      for (const { adapter, prompt_ids, logits } of runsOf(name)) {
        model.adapters.use([adapter === null ? 0 : slots[adapter]]);
        for (const [id, logit] of logitsAfter(model, prompt_ids).entries()) {
          assert.closeTo(logit, logits[id] ?? NaN, 1e-4, `${adapter} ${prompt_ids.length} ${id}`);
        }
      }
    });

    it(`make a ${name} say what mlx-lm's say, each alone and all of them beside rows without one`, async () => {
      const model = await loadCheckpoint(join(fixtures, name));
      const runs = runsOf(name);
      const expected = runs.map(({ greedy_ids }) => greedy_ids);
      const submissions = runs.map((run, sequence) => submissionOf(name, run, sequence));
      for (const batch of [...submissions.map((one) => [one]), submissions, submissions.toReversed()]) {
        const scheduler = new Scheduler(model, { ...limits, maxBatch: 16 }, () => 0);
        for (const one of batch) scheduler.submit(one);
        const outputs = await drive(scheduler);
        for (const { sequence } of batch) {
          assert.deepStrictEqual(outputs.get(sequence)?.tokenIds, expected[sequence]);
        }
      }
    });
  }
});

const model = await loadCheckpoint(join(fixtures, "llama"));
const wide = { key: "wide", directory: folderOf("llama", "wide") };
const narrow = { key: "narrow", directory: folderOf("llama", "narrow") };
const llamaRuns = runsOf("llama");
const greedyOf = (adapter: Run["adapter"], length: number) =>
  llamaRuns.find((run) => run.adapter === adapter && run.prompt_ids.length === length)?.greedy_ids;
const long = llamaRuns.find(({ prompt_ids }) => prompt_ids.length === 40)?.prompt_ids ?? [];

const scheduler = (overrides: Partial<typeof limits> = {}) =>
  new Scheduler(model, { ...limits, ...overrides }, () => 0);

describe("adapters of a running engine", () => {
  const ask = async (own: Scheduler, sequence: number, adapter: AdapterSource | undefined) => {
    own.submit(submission(sequence, long, { maxOutputTokens: 24, ...(adapter !== undefined && { adapter }) }));
    return (await drive(own)).get(sequence);
  };

  it("come and go, the least recently used first", async () => {
    const own = scheduler({ maxAdapters: 1 });
    for (const [sequence, adapter] of ([wide, narrow, wide, undefined, narrow] as const).entries()) {
      const output = await ask(own, sequence, adapter);
      const name = adapter === wide ? "wide" : adapter === narrow ? "narrow" : null;
      assert.deepStrictEqual(output?.tokenIds, greedyOf(name, 40));
    }
  });

  it("wait while all that may be loaded are in use, and others go on", async () => {
    const own = scheduler({ maxAdapters: 1 });
    own.submit(submission(1, long, { maxOutputTokens: 24, adapter: wide }));
    own.submit(submission(2, long, { maxOutputTokens: 24, adapter: narrow }));
    own.submit(submission(3, long, { maxOutputTokens: 24 }));
    const order: number[] = [];
    while (!own.idle) {
      own.step();
      for (const event of own.takeEvents()) if (event.type === "finished") order.push(event.sequence);
      await collectBetweenSteps(1);
    }
    assert.strictEqual(order.at(-1), 2);
    const again = await ask(own, 4, narrow);
    assert.deepStrictEqual(again?.tokenIds, greedyOf("narrow", 40));
  });

  it("share no cached prefix with another, nor with none", async () => {
    const own = scheduler({ prefixCacheBytes: 2 ** 20 });
    const cached: number[] = [];
    for (const [sequence, adapter] of [undefined, wide, narrow, wide, undefined].entries()) {
      const output = await ask(own, sequence, adapter);
      cached.push(output?.cachedPromptTokens ?? -1);
      const name = adapter === wide ? "wide" : adapter === narrow ? "narrow" : null;
      assert.deepStrictEqual(output?.tokenIds, greedyOf(name, 40));
    }
    assert.deepStrictEqual(cached, [0, 0, 0, 39, 39]);
  });

  it("do not wait for another's prefill of the same prompt", async () => {
    const own = scheduler({ prefixCacheBytes: 2 ** 20 });
    for (const [sequence, adapter] of [wide, narrow].entries()) {
      own.submit(submission(sequence, long, { maxOutputTokens: 24, adapter }));
    }
    const outputs = await drive(own);
    assert.deepStrictEqual(outputs.get(0)?.tokenIds, greedyOf("wide", 40));
    assert.deepStrictEqual(outputs.get(1)?.tokenIds, greedyOf("narrow", 40));
  });

  it("fail those alone that ask for one that cannot be loaded", async () => {
    const own = scheduler();
    own.submit(submission(1, long, { maxOutputTokens: 24 }));
    const broken = { key: "broken", directory: join(fixtures, "phi3/adapters/wide") };
    const plan = new Map([
      [4, [2, 3].map((sequence) => () => own.submit(submission(sequence, long, { adapter: broken })))],
    ]);
    const outputs = await drive(own, plan);
    assert.deepStrictEqual(outputs.get(1)?.tokenIds, greedyOf(null, 40));
    for (const sequence of [2, 3]) {
      assert.strictEqual(
        outputs.get(sequence)?.end,
        "tensor model.layers.0.mlp.gate_up_proj.lora_a: no adapter can be applied to model.layers.0.mlp.gate_up_proj in this model",
      );
    }
  });

  it("are loaded between the steps of running streams, and forgotten when nobody waits any more", async () => {
    let now = 0;
    const own = new Scheduler(model, limits, () => (now += 3));
    own.submit(submission(1, [5], { maxOutputTokens: 100 }));
    own.step();
    own.submit(submission(2, long, { adapter: wide, maxOutputTokens: 24 }));
    let tokensBefore = 0;
    for (let admitted = false; !admitted;) {
      own.step();
      for (const event of own.takeEvents()) {
        if (event.type === "token" && event.sequence === 1) tokensBefore += 1;
        admitted ||= event.type === "admitted" && event.sequence === 2;
      }
    }
    assert.isAtLeast(tokensBefore, 4);
    own.cancel(1);
    own.cancel(2);
    own.submit(submission(3, long, { adapter: narrow }));
    own.step();
    own.cancel(3);
    await drive(own);
    assert.isTrue(own.idle);
  });
});

describe("an adapter that does not fit", () => {
  const made: string[] = [];
  afterAll(() => {
    for (const directory of made) rmSync(directory, { recursive: true });
  });

  /** A copy of the wide one with other values in its configuration. */
  const changed = (changes: object = {}, parameters: object = {}): string => {
    const directory = mkdtempSync(join(tmpdir(), "mlxd-adapter-"));
    made.push(directory);
    cpSync(wide.directory, directory, { recursive: true });
    const path = join(directory, "adapter_config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    const all = { ...config, lora_parameters: { ...config.lora_parameters, ...parameters }, ...changes };
    writeFileSync(path, JSON.stringify(all));
    return directory;
  };
  const without = (file: string): string => {
    const directory = changed();
    rmSync(join(directory, file));
    return directory;
  };
  const withTensors = (change: (tensors: Record<string, Tensor>) => Record<string, Tensor>): string => {
    const directory = changed();
    const path = join(directory, "adapters.safetensors");
    const tensors = mx.load(path);
    mx.eval(...Object.values(tensors));
    const out = change(tensors);
    rmSync(path);
    saveTensors(path, out);
    return directory;
  };

  const refused: ReadonlyArray<readonly [string, () => string, string]> = [
    ["no configuration", () => without("adapter_config.json"), "adapter_config.json is missing"],
    ["no weights", () => without("adapters.safetensors"), "adapters.safetensors is missing"],
    [
      "weights that are cut off",
      () => {
        const directory = changed();
        truncateSync(join(directory, "adapters.safetensors"), 5000);
        return directory;
      },
      "adapters.safetensors is truncated or not a safetensors file",
    ],
    [
      "another way of fine-tuning",
      () => changed({ fine_tune_type: "dora" }),
      'adapter_config.json: fine_tune_type "dora" is not supported; known: lora',
    ],
    [
      "no parameters",
      () => changed({ lora_parameters: null }),
      "adapter_config.json: lora_parameters is null, it must be an object",
    ],
    [
      "no scale",
      () => changed({}, { scale: null }),
      "adapter_config.json: lora_parameters.scale is null, it must be a number",
    ],
    [
      "no number of layers",
      () => changed({ num_layers: "all" }),
      'adapter_config.json: num_layers is "all", it must be a number',
    ],
    [
      "another rank",
      () => changed({}, { rank: 8 }),
      "tensor model.layers.0.self_attn.o_proj.lora_a has shape [32, 4], expected [32, 8]",
    ],
    [
      "fewer layers than its tensors are of",
      () => changed({ num_layers: 1 }),
      "tensor model.layers.0.mlp.down_proj.lora_a is of a layer that num_layers and lora_parameters.keys leave out",
    ],
    [
      "a key of no layer",
      () => changed({}, { keys: ["self_attn.o_proj", "mlp.switch_mlp.up_proj"] }),
      'adapter_config.json: lora_parameters.keys has "mlp.switch_mlp.up_proj", which no adapter can be applied to in ' +
        "this model; known: self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.o_proj, mlp.gate_proj, " +
        "mlp.up_proj, mlp.down_proj, lm_head",
    ],
    [
      "a key without tensors",
      () => changed({}, { keys: ["self_attn.o_proj", "mlp.down_proj", "lm_head", "self_attn.q_proj"] }),
      "tensor model.layers.0.self_attn.q_proj.lora_a is missing",
    ],
    [
      "half of a part",
      () => withTensors(({ "lm_head.lora_b": _half, ...rest }) => rest),
      "tensor lm_head.lora_b is missing",
    ],
    [
      "a tensor of another kind",
      () => withTensors((tensors) => ({ ...tensors, "lm_head.m": mx.zeros([288]) })),
      "tensor lm_head.m has no place in a LoRA adapter",
    ],
    [
      "a layer that the model does not have",
      () => withTensors((tensors) => ({ ...tensors, "model.layers.3.mlp.down_proj.lora_a": mx.zeros([64, 4]) })),
      "tensor model.layers.3.mlp.down_proj.lora_a: no adapter can be applied to model.layers.3.mlp.down_proj in this model",
    ],
  ];
  for (const [what, make, reason] of refused) {
    it(`is refused with ${what}`, () => {
      try {
        openAdapter(make(), model.adapters.parts);
      } catch (cause) {
        assert.instanceOf(cause, LoadError);
        return assert.strictEqual(cause.message, reason);
      }
      return assert.fail("it was opened");
    });
  }

  it("is refused with values that are no numbers, when it is loaded", async () => {
    const directory = withTensors((tensors) => ({ ...tensors, "lm_head.lora_b": mx.full([4, 288], NaN) }));
    const own = scheduler();
    own.submit(submission(1, long, { adapter: { key: "nan", directory } }));
    own.submit(submission(2, long, { adapter: wide, maxOutputTokens: 24 }));
    const outputs = await drive(own);
    assert.strictEqual(outputs.get(1)?.end, "tensor lm_head.lora_b has values that are not finite numbers");
    assert.deepStrictEqual(outputs.get(2)?.tokenIds, greedyOf("wide", 40));
  });

  it("is refused where it is of another model: by key, tensor or shape", async () => {
    assert.throws(
      () => openAdapter(folderOf("phi3", "narrow"), model.adapters.parts),
      /^adapter_config\.json: lora_parameters\.keys has "self_attn\.qkv_proj", which no adapter can be applied to/,
    );
    const { parts } = await loadCheckpoint(join(fixtures, "qwen3_moe")).then(({ adapters }) => adapters);
    assert.throws(
      () => openAdapter(folderOf("qwen3", "wide"), parts),
      /^tensor model\.layers\.0\.mlp\.\S+: no adapter can be applied to model\.layers\.0\.mlp\.\S+ in this model$/,
    );
  });
});
