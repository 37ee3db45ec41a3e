/** Small checkpoints with seeded random weights, in the layout that models are published in. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "@effect/vitest";

import type { Tensor } from "../../../src/service/worker/mlx.ts";

interface Mlx {
  readonly core: {
    readonly float16: unknown;
    readonly random: {
      key(seed: number): unknown;
      normal(shape: number[], dtype: unknown, loc: number, scale: number, key: unknown): Tensor;
    };
    ones(shape: number[], dtype: unknown): Tensor;
    saveSafetensors(path: string, arrays: Record<string, Tensor>): void;
  };
}

const { core: mx } = createRequire(import.meta.url)("@frost-beta/mlx") as Mlx;

export interface CheckpointShape {
  readonly modelType: "llama" | "qwen2";
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabularySize: number;
}

const made: string[] = [];
afterAll(() => {
  for (const directory of made) rmSync(directory, { recursive: true });
});

/** Writes config.json and model.safetensors into a new folder, which goes after the file's tests; returns its path. */
export const writeRandomCheckpoint = (shape: CheckpointShape, overrides: Record<string, unknown> = {}): string => {
  const directory = mkdtempSync(join(tmpdir(), "mlxd-checkpoint-"));
  made.push(directory);
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
    tie_word_embeddings: true,
    eos_token_id: 0,
    ...overrides,
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  mx.saveSafetensors(join(directory, "model.safetensors"), randomTensors(shape));
  return directory;
};

const randomTensors = (shape: CheckpointShape): Record<string, Tensor> => {
  const { hiddenSize, heads, kvHeads } = shape;
  const headDim = hiddenSize / heads;
  const tensors: Record<string, Tensor> = {};
  let seed = 0;
  const random = (name: string, ...size: number[]): void => {
    seed += 1;
    tensors[name] = mx.random.normal(size, mx.float16, 0, 0.15, mx.random.key(seed));
  };
  random("model.embed_tokens.weight", shape.vocabularySize, hiddenSize);
  tensors["model.norm.weight"] = mx.ones([hiddenSize], mx.float16);
  for (let layer = 0; layer < shape.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    tensors[`${prefix}.input_layernorm.weight`] = mx.ones([hiddenSize], mx.float16);
    tensors[`${prefix}.post_attention_layernorm.weight`] = mx.ones([hiddenSize], mx.float16);
    for (const [name, out] of [
      ["q_proj", hiddenSize],
      ["k_proj", kvHeads * headDim],
      ["v_proj", kvHeads * headDim],
    ] as const) {
      random(`${prefix}.self_attn.${name}.weight`, out, hiddenSize);
      if (shape.modelType === "qwen2") random(`${prefix}.self_attn.${name}.bias`, out);
    }
    random(`${prefix}.self_attn.o_proj.weight`, hiddenSize, hiddenSize);
    random(`${prefix}.mlp.gate_proj.weight`, 2 * hiddenSize, hiddenSize);
    random(`${prefix}.mlp.up_proj.weight`, 2 * hiddenSize, hiddenSize);
    random(`${prefix}.mlp.down_proj.weight`, hiddenSize, 2 * hiddenSize);
  }
  return tensors;
};
