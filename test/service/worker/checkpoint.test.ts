import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";

import type { Model } from "../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { KVCache } from "../../../src/service/worker/cache/kv-cache.ts";
import { all, mx, type Tensor } from "../../../src/service/worker/mlx.ts";
import type { WeightsForm } from "../../../src/service/worker/weights/weights.ts";
import { modelTypes } from "./checkpoint-layout.ts";
import { type QuantizedAs, type Tensors, writeRandomCheckpoint } from "./random-checkpoint.ts";

const shape = { hiddenSize: 64, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 96 };
const tokens = Array.from({ length: 40 }, (_, i) => (i * 37 + 5) % shape.vocabularySize);

const forward = (model: Model): Tensor =>
  model.forward(mx.array([tokens], mx.int32), new KVCache(model.cacheShape, [tokens.length], 0));

const logitsOf = async (directory: string, form?: WeightsForm): Promise<readonly number[]> => {
  const model = await loadCheckpoint(directory, form);
  const [logits = []] = model.logits(forward(model).index(all, tokens.length - 1)).tolist() as number[][];
  return logits;
};

const assertSame = (actual: readonly number[], expected: readonly number[], tolerance = 1e-4): void => {
  assert.strictEqual(actual.length, expected.length);
  assert.isAtMost(Math.max(...actual.map((logit, id) => Math.abs(logit - (expected[id] ?? NaN)))), tolerance);
  assert.isAbove(Math.max(...expected) - Math.min(...expected), 0.1, "logits that say something");
};

/** As published checkpoints have it: 4 bits, of some layers 8 or 6, in groups of another size, of some not at all. */
const mixed = (path: string): QuantizedAs | undefined => {
  if (path.endsWith("o_proj")) return undefined;
  if (path.endsWith("k_proj")) return { group_size: 32, bits: 6 };
  return /v_proj|up_proj|router|gate$/.test(path) ? { group_size: 32, bits: 8 } : { group_size: 64, bits: 4 };
};

describe("loading a checkpoint", () => {
  for (const modelType of modelTypes) {
    it(`computes the same of a quantised ${modelType}, kept as stored or made float32`, async () => {
      const directory = writeRandomCheckpoint({ ...shape, modelType }, {}, { type: "float32", quantization: mixed });
      assertSame(await logitsOf(directory, "stored"), await logitsOf(directory, "float32"));
    });

    it(`keeps the activations of a ${modelType} in 16 bits where its weights stay so`, async () => {
      const directory = writeRandomCheckpoint({ ...shape, modelType }, {}, { type: "bfloat16", quantization: mixed });
      // Not evaluated: no product of 16 bits on CPU.
      const model = await loadCheckpoint(directory, "stored");
      const hidden = forward(model);
      assert.strictEqual(hidden.dtype, mx.bfloat16);
      assert.strictEqual(model.logits(hidden.index(all, 0)).dtype, mx.bfloat16);
    });
  }

  it("reads shards by their index", async () => {
    const one = writeRandomCheckpoint({ ...shape, modelType: "qwen3" });
    const several = writeRandomCheckpoint({ ...shape, modelType: "qwen3" }, {}, { shards: 5 });
    assertSame(await logitsOf(several), await logitsOf(one), 0);
  });

  it("reads 16 bits of either kind", async () => {
    const logits = (type: "float32" | "float16" | "bfloat16") =>
      logitsOf(writeRandomCheckpoint({ ...shape, modelType: "llama" }, {}, { type }));
    const exact = await logits("float32");
    assertSame(await logits("float16"), exact, 5e-3);
    assertSame(await logits("bfloat16"), exact, 3e-2);
  });

  it("takes an output layer of its own where there is one and the config does not say", async () => {
    const untied = { ...shape, modelType: "llama", tied: false } as const;
    const told = await logitsOf(writeRandomCheckpoint(untied));
    assertSame(await logitsOf(writeRandomCheckpoint(untied, { tie_word_embeddings: null })), told, 0);
    const tied = { ...shape, modelType: "llama" } as const;
    const tiedLogits = await logitsOf(writeRandomCheckpoint(tied));
    assertSame(await logitsOf(writeRandomCheckpoint(tied, { tie_word_embeddings: null })), tiedLogits, 0);
    assertSame(await logitsOf(writeRandomCheckpoint(untied, { tie_word_embeddings: true })), tiedLogits, 0);
  });

  it("reads experts one by one as well as stacked", async () => {
    const stacked = { ...shape, modelType: "qwen3_moe" } as const;
    const expected = await logitsOf(writeRandomCheckpoint(stacked));
    assertSame(await logitsOf(writeRandomCheckpoint(stacked, {}, { transform: oneByOne })), expected, 0);
  });

  it("reads experts in the original form of gpt-oss, gate and up in turns", async () => {
    const split = { ...shape, modelType: "gpt_oss" } as const;
    const expected = await logitsOf(writeRandomCheckpoint(split));
    assertSame(await logitsOf(writeRandomCheckpoint(split, {}, { transform: inTurns })), expected);
  });

  it("takes the language model out of a gemma3 that sees images", async () => {
    const text = { ...shape, modelType: "gemma3_text" } as const;
    const directory = writeRandomCheckpoint(text);
    const { model_type: _, vocab_size: vocabularySize, ...section } = readConfig(directory);
    const around = { model_type: "gemma3", text_config: section, vocab_size: vocabularySize };
    const transform = (tensors: Tensors): Tensors => ({
      "vision_tower.patch.weight": mx.zeros([4]),
      ...Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`language_model.${name}`, tensor])),
    });
    const whole = writeRandomCheckpoint(text, {}, { transform });
    writeFileSync(join(whole, "config.json"), JSON.stringify(around));
    assertSame(await logitsOf(whole), await logitsOf(directory), 0);
  });

  it("finds rotary parameters where newer configs have them", async () => {
    const llama = { ...shape, modelType: "llama" } as const;
    const scaling = { rope_type: "linear", factor: 2 };
    const expected = await logitsOf(writeRandomCheckpoint(llama, { rope_theta: 500, rope_scaling: scaling }));
    const nested = { rope_parameters: { rope_theta: 500, ...scaling } };
    assertSame(await logitsOf(writeRandomCheckpoint(llama, nested)), expected, 0);
  });

  it("holds weights once", async () => {
    const large = {
      modelType: "llama",
      hiddenSize: 512,
      layers: 12,
      heads: 8,
      kvHeads: 8,
      vocabularySize: 96,
    } as const;
    const directory = writeRandomCheckpoint(large);
    const bytes = 4 * large.layers * (4 + 3 * 2) * large.hiddenSize ** 2;
    const before = process.memoryUsage.rss();
    let most = before;
    let loading = true;
    const watch = (): void => {
      most = Math.max(most, process.memoryUsage.rss());
      if (loading) setImmediate(watch);
    };
    watch();
    const model = await loadCheckpoint(directory);
    loading = false;
    assert.isAtMost(most - before, 1.4 * bytes);
    assert.strictEqual(model.cacheShape.layers, large.layers);
  });
});

const readConfig = (directory: string) => JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));

const oneByOne = (tensors: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) =>
      name.includes("switch_mlp")
        ? Array.from({ length: tensor.shape[0] ?? 0 }, (_, expert): [string, Tensor] => [
            name.replace("switch_mlp", `experts.${expert}`),
            tensor.index(expert),
          ])
        : [[name, tensor]],
    ),
  );

/** [experts, size] and [experts, size] to [experts, 2 * size], one of each in turn; matrices are transposed. */
const inTurns = (tensors: Tensors): Tensors => {
  const rest = Object.entries(tensors).filter(([name]) => !name.includes(".experts."));
  const prefixes = Object.keys(tensors).flatMap((name) => /^(.*\.experts)\.gate_proj\.weight$/.exec(name)?.[1] ?? []);
  const joined = prefixes.flatMap((prefix): ReadonlyArray<[string, Tensor]> => {
    const tensor = (name: string): Tensor => tensors[`${prefix}.${name}`] ?? assert.fail(name);
    const [experts = 0, inner = 0, size = 0] = tensor("gate_proj.weight").shape;
    const weights = mx.stack([tensor("gate_proj.weight"), tensor("up_proj.weight")], 2);
    const biases = mx.stack([tensor("gate_proj.bias"), tensor("up_proj.bias")], 2);
    return [
      [`${prefix}.gate_up_proj`, weights.reshape(experts, 2 * inner, size).transpose(0, 2, 1)],
      [`${prefix}.gate_up_proj_bias`, biases.reshape(experts, 2 * inner)],
      [`${prefix}.down_proj`, tensor("down_proj.weight").transpose(0, 2, 1)],
      [`${prefix}.down_proj_bias`, tensor("down_proj.bias")],
    ];
  });
  return Object.fromEntries([...rest, ...joined]);
};
