/** Small checkpoints with seeded random weights, in the layout that models are published in. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "@effect/vitest";

import type { Adapters } from "../../../src/service/worker/adapters/adapters.ts";
import { type Dtype, mx, type Tensor } from "../../../src/service/worker/mlx.ts";
import { type CheckpointShape, configOf, type TensorLayout, tensorsOf } from "./checkpoint-layout.ts";

export type Tensors = Readonly<Record<string, Tensor>>;

export interface CheckpointStorage {
  /** @default "float16" */
  readonly type?: "float16" | "bfloat16" | "float32";
  /** @default 1, without an index */
  readonly shards?: number;
  /** Tells of each layer how it is quantised, by its path; undefined: not at all. @default for none */
  readonly quantization?: (path: string) => QuantizedAs | undefined;
  /** Puts the tensors into another form before they are written. */
  readonly transform?: (tensors: Tensors) => Tensors;
}

export interface QuantizedAs {
  readonly group_size: number;
  readonly bits: number;
}

const made: string[] = [];
afterAll(() => {
  for (const directory of made) rmSync(directory, { recursive: true });
});

/**
 * Writes config.json and the weights into a new folder, which goes after the file's tests; returns its path.
 *
 * @param overrides keys of config.json; the tensors know nothing of them
 */
export const writeRandomCheckpoint = (
  shape: CheckpointShape,
  overrides: Record<string, unknown> = {},
  { type = "float16", shards = 1, quantization = () => undefined, transform = (all) => all }: CheckpointStorage = {},
): string => {
  const directory = mkdtempSync(join(tmpdir(), "mlxd-checkpoint-"));
  made.push(directory);
  const layouts = tensorsOf(shape);
  const quantized = quantizedLayers(layouts, quantization);
  const config = {
    model_type: shape.modelType,
    hidden_size: shape.hiddenSize,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    intermediate_size: 2 * shape.hiddenSize,
    vocab_size: shape.vocabularySize,
    max_position_embeddings: 512,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: shape.tied !== false,
    eos_token_id: 0,
    ...configOf(shape),
    ...(quantized.size > 0 && { quantization: { group_size: 64, bits: 4, ...Object.fromEntries(quantized) } }),
    ...overrides,
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  const tensors = Object.fromEntries(
    layouts.flatMap((layout) => Object.entries(randomTensors(layout, mx[type], quantized))),
  );
  writeTensors(directory, transform(tensors), shards);
  return directory;
};

/** Writes an adapter of every linear layer into a new folder, which goes after the file's tests; returns its path. */
export const writeRandomAdapter = (
  parts: Adapters["parts"],
  { seed, rank = 4 }: { readonly seed: number; readonly rank?: number },
): string => {
  const directory = mkdtempSync(join(tmpdir(), "mlxd-adapter-"));
  made.push(directory);
  const keys = [...new Set([...parts.keys()].map((name) => name.replace(/^model\.layers\.\d+\./, "")))];
  const config = { fine_tune_type: "lora", num_layers: -1, lora_parameters: { rank, scale: 2, dropout: 0, keys } };
  writeFileSync(join(directory, "adapter_config.json"), JSON.stringify(config));
  const random = (name: string, ...shape: number[]) => ({
    [name]: mx.random.normal(shape, mx.float32, 0, 0.2, mx.random.key(seedOf(`${name} ${seed}`))),
  });
  const tensors = [...parts].flatMap(([name, { inputs, out }]) => [
    random(`${name}.lora_a`, inputs, rank),
    random(`${name}.lora_b`, rank, out),
  ]);
  saveTensors(join(directory, "adapters.safetensors"), Object.assign({}, ...tensors) as Tensors);
  return directory;
};

const quantizedLayers = (
  layouts: readonly TensorLayout[],
  quantization: (path: string) => QuantizedAs | undefined,
): ReadonlyMap<string, QuantizedAs> =>
  new Map(
    layouts.flatMap(({ name, kind }): ReadonlyArray<[string, QuantizedAs]> => {
      const path = name.replace(/\.weight$/, "");
      const settings = kind === "weight" ? quantization(path) : undefined;
      return settings === undefined ? [] : [[path, settings]];
    }),
  );

const randomTensors = (
  { name, shape, kind }: TensorLayout,
  type: Dtype,
  quantized: ReadonlyMap<string, QuantizedAs>,
): Tensors => {
  const key = mx.random.key(seedOf(name));
  if (kind === "norm") return { [name]: mx.full([...shape], 1, type) };
  const path = name.replace(/\.weight$/, "");
  const settings = quantized.get(path);
  // A small embedding: a large one, also used as the output, would answer each token with itself.
  const deviation = name.includes("embed_tokens") ? 0.03 : 0.15;
  if (settings === undefined)
    return { [name]: mx.random.normal([...shape], mx.float32, 0, deviation, key).astype(type) };
  const rows = shape.slice(0, -1);
  const inputs = shape.at(-1) ?? 0;
  const groups = [...rows, inputs / settings.group_size];
  return {
    [name]: mx.random.randint(0, 2 ** 31 - 1, [...rows, (inputs * settings.bits) / 32], mx.uint32, key),
    [`${path}.scales`]: mx.full(groups, 0.5 / 2 ** settings.bits, type),
    [`${path}.biases`]: mx.full(groups, -0.25, type),
  };
};

export const saveTensors = (path: string, tensors: Tensors): void => mx.saveSafetensors(path, { ...tensors });

/** By its name, so that a tensor is the same whatever stands beside it. */
const seedOf = (name: string): number =>
  [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) | 0, 7) >>> 0;

const writeTensors = (directory: string, tensors: Tensors, shards: number): void => {
  const names = Object.keys(tensors);
  const perFile = Math.ceil(names.length / shards);
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const file = shards === 1 ? "model.safetensors" : `model-${shard + 1}-of-${shards}.safetensors`;
    const part = names.slice(shard * perFile, (shard + 1) * perFile);
    for (const name of part) weightMap[name] = file;
    const arrays = Object.entries(tensors).filter(([name]) => part.includes(name));
    mx.saveSafetensors(join(directory, file), Object.fromEntries(arrays));
  }
  if (shards === 1) return;
  writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
};
