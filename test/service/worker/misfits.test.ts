import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";

import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";
import { LoadError } from "../../../src/service/worker/files/load-error.ts";
import { mx } from "../../../src/service/worker/mlx.ts";
import { type ModelType, modelTypes } from "./checkpoint-layout.ts";
import { type Tensors, writeRandomCheckpoint } from "./random-checkpoint.ts";

const shape = { hiddenSize: 64, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 96 };

describe("a checkpoint that does not fit", () => {
  const refusal = async (directory: string): Promise<string> => {
    try {
      checkAgainstItself(await loadCheckpoint(directory));
    } catch (cause) {
      assert.instanceOf(cause, LoadError);
      assert.notInclude(cause.message, directory);
      return cause.message;
    }
    return "loaded";
  };

  const without = (pattern: RegExp) => (tensors: Tensors) =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => !pattern.test(name)));

  const needs: ReadonlyArray<readonly [ModelType, ReadonlyArray<string>]> = [
    ["llama", ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"]],
    ["qwen3", ["rope_theta"]],
    ["qwen3_moe", ["rope_theta", "num_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob"]],
    ["gemma2", ["head_dim", "num_key_value_heads"]],
    ["gemma3_text", ["hidden_size"]],
    ["gpt_oss", ["num_local_experts", "num_experts_per_tok"]],
    ["phi3", ["vocab_size"]],
  ];
  for (const [modelType, keys] of needs) {
    it(`is told which key a ${modelType} needs`, async () => {
      for (const key of keys) {
        const reason = await refusal(writeRandomCheckpoint({ ...shape, modelType }, { [key]: null }));
        assert.match(reason, new RegExp(`config\\.json: ${key} is null, it must be`));
      }
    });
  }

  for (const modelType of modelTypes) {
    it(`is told the tensor that a ${modelType} lacks or that has another shape`, async () => {
      for (const name of ["layers.1.self_attn.o_proj.weight", "down_proj.weight", "model.norm.weight"]) {
        const transform = without(new RegExp(`${name.replaceAll(".", "\\.")}$`));
        const missing = await refusal(writeRandomCheckpoint({ ...shape, modelType }, {}, { transform }));
        assert.match(missing, /^tensor \S+ is missing$/);
        assert.include(missing, name);
      }
      const wide = await refusal(writeRandomCheckpoint({ ...shape, modelType, headDim: 24 }, { head_dim: 20 }));
      assert.match(wide, /^tensor model\.layers\.0\.self_attn\.\S+ has shape \[.*\], expected \[.*\]$/);
    });
  }

  const llama = { ...shape, modelType: "llama" } as const;
  const quantized = { quantization: () => ({ group_size: 64, bits: 4 }) };
  const settings = { group_size: 64, bits: 4 };
  const embedding = "model.embed_tokens";
  const oneNaN = (rows: number, columns: number): number[][] =>
    Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, () => (row === 100 ? NaN : 0.1)));
  const refused: ReadonlyArray<readonly [string, () => string, RegExp]> = [
    [
      "a tensor that has no place in it",
      () => writeRandomCheckpoint(llama, { num_hidden_layers: 1 }),
      /^tensor model\.layers\.1\.\S+ has no place in a model of this configuration/,
    ],
    [
      "a shard that is missing",
      () => {
        const directory = writeRandomCheckpoint(llama, {}, { shards: 3 });
        rmSync(join(directory, "model-2-of-3.safetensors"));
        return directory;
      },
      /^model\.safetensors\.index\.json names model-2-of-3\.safetensors, which is missing$/,
    ],
    [
      "an index that is none",
      () => {
        const directory = writeRandomCheckpoint(llama, {}, { shards: 2 });
        writeFileSync(join(directory, "model.safetensors.index.json"), "[]");
        return directory;
      },
      /^model\.safetensors\.index\.json has no weight_map$/,
    ],
    [
      "more tensors than MLX reads without a stack overflow",
      () => {
        const directory = writeRandomCheckpoint(llama, {});
        const many = Array.from({ length: 200_000 }, (_, index) => [
          `t${index}`,
          { dtype: "F32", shape: [0], data_offsets: [0, 0] },
        ]);
        const header = Buffer.from(JSON.stringify(Object.fromEntries(many)));
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(header.length));
        writeFileSync(join(directory, "model.safetensors"), Buffer.concat([length, header]));
        return directory;
      },
      /^model\.safetensors has 200000 tensors; it must not have more than 131072$/,
    ],
    [
      "scales that are missing",
      () => writeRandomCheckpoint(llama, {}, { ...quantized, transform: without(/down_proj\.biases/) }),
      /^tensor model\.layers\.0\.mlp\.down_proj\.biases is missing$/,
    ],
    [
      "another quantisation than it says",
      () =>
        writeRandomCheckpoint(
          llama,
          { quantization: { group_size: 64, bits: 4, "model.layers.1.mlp.up_proj": { group_size: 32, bits: 4 } } },
          quantized,
        ),
      /^tensor model\.layers\.1\.mlp\.up_proj\.scales has shape \[128, 1\], expected \[128, 2\]$/,
    ],
    [
      "a quantised layer that it says is not",
      () =>
        writeRandomCheckpoint(
          llama,
          { quantization: { group_size: 64, bits: 4, "model.layers.0.self_attn.o_proj": false } },
          quantized,
        ),
      /^tensor model\.layers\.0\.self_attn\.o_proj\.weight has shape \[64, 8\], expected \[64, 64\]$/,
    ],
    [
      "a quantisation of another kind",
      () => writeRandomCheckpoint(llama, { quantization: { ...settings, [embedding]: { mode: "int4" } } }, quantized),
      /^model\.embed_tokens is quantised as int4, which is not supported; known: affine, mxfp4, mxfp8, nvfp4$/,
    ],
    [
      "bits that MLX does not have",
      () => writeRandomCheckpoint(llama, { quantization: { ...settings, [embedding]: { bits: 7 } } }, quantized),
      /^model\.embed_tokens is quantised to 7 bits, which is not supported; known: 2, 3, 4, 5, 6, 8$/,
    ],
    ...[8, 16, 48, 256].map(
      (size) =>
        [
          `groups of ${size}, for which there is no kernel`,
          () =>
            writeRandomCheckpoint(
              llama,
              { quantization: { ...settings, [embedding]: { group_size: size } } },
              quantized,
            ),
          new RegExp(
            `^model\\.embed_tokens is quantised in groups of ${size}, which is not supported; known: 32, 64, 128$`,
          ),
        ] as const,
    ),
    [
      "words that hold 16 bits each, whatever it says",
      () =>
        writeRandomCheckpoint(
          llama,
          { quantization: settings },
          { quantization: () => ({ group_size: 64, bits: 16 }) },
        ),
      /^model\.embed_tokens is quantised to 16 bits, which is not supported/,
    ],
    [
      "mxfp4 in groups that it does not have",
      () =>
        writeRandomCheckpoint(
          llama,
          { quantization: { ...settings, [embedding]: { mode: "mxfp4", group_size: 64 } } },
          quantized,
        ),
      /^model\.embed_tokens is quantised as mxfp4 in groups of 64, they must be of 32$/,
    ],
    [
      "quantisation by another method",
      () => writeRandomCheckpoint(llama, { quantization_config: { quant_method: "gptq", bits: 4 } }),
      /^config\.json: quantization_config\.quant_method "gptq" is not supported/,
    ],
    [
      "experts in blocks of another size",
      () =>
        writeRandomCheckpoint(
          { ...shape, modelType: "gpt_oss" },
          {},
          {
            transform: (tensors) => ({
              ...without(/layers\.0\.mlp\.experts/)(tensors),
              "model.layers.0.mlp.experts.gate_up_proj_blocks": mx.zeros([4, 128, 3, 16], mx.uint8),
            }),
          },
        ),
      /^tensor model\.layers\.0\.mlp\.experts\.gate_up_proj_blocks has shape \[4, 128, 3, 16\], expected \[4, 128, 2, 16\]$/,
    ],
    [
      "a weight that is not a number",
      () =>
        writeRandomCheckpoint(
          llama,
          {},
          {
            transform: (tensors) => ({
              ...tensors,
              "model.layers.1.mlp.up_proj.weight": mx.array(oneNaN(128, 64), mx.float16),
            }),
          },
        ),
      /^tensor model\.layers\.1\.mlp\.up_proj\.weight has values that are not finite numbers$/,
    ],
    [
      "a scale that is infinite",
      () =>
        writeRandomCheckpoint(
          llama,
          {},
          {
            ...quantized,
            transform: (tensors) => ({
              ...tensors,
              "model.layers.0.self_attn.q_proj.scales": mx.full([64, 1], Infinity, mx.float16),
            }),
          },
        ),
      /^tensor model\.layers\.0\.self_attn\.q_proj\.\S+ has values that are not finite numbers$/,
    ],
    [
      "quantised weights of another type",
      () =>
        writeRandomCheckpoint(
          llama,
          {},
          {
            ...quantized,
            transform: (tensors) => ({
              ...tensors,
              "model.layers.1.mlp.down_proj.weight": mx.zeros([64, 16], mx.float32),
            }),
          },
        ),
      /^tensor model\.layers\.1\.mlp\.down_proj\.weight is quantised and has to be stored as U32$/,
    ],
    [
      "a header that describes a tensor without its shape",
      () => {
        const directory = writeRandomCheckpoint(llama);
        const file = join(directory, "model.safetensors");
        writeFileSync(file, readFileSync(file, "latin1").replace('"shape":[64,128]', '"shape":"none  "'), "latin1");
        return directory;
      },
      /^model\.safetensors is truncated or not a safetensors file$/,
    ],
    [
      "a header that gives a tensor another size than its bytes have",
      () => {
        const directory = writeRandomCheckpoint(llama);
        const file = join(directory, "model.safetensors");
        writeFileSync(file, readFileSync(file, "latin1").replace('"shape":[64,128]', '"shape":[64,129]'), "latin1");
        return directory;
      },
      /^tensor model\.layers\.\d\.mlp\.down_proj\.weight of model\.safetensors has 16384 bytes, its type and shape need 16512$/,
    ],
    [
      "heads that cannot share keys evenly",
      () => writeRandomCheckpoint({ ...llama, heads: 3, kvHeads: 2, headDim: 16 }),
      /^config\.json: num_key_value_heads is 2, it must be a divisor of 3$/,
    ],
    [
      "kinds of layers for fewer than there are",
      () => writeRandomCheckpoint(llama, { layer_types: ["full_attention"] }),
      /^config\.json: layer_types is \["full_attention"\], it must be a list of 2, each one of full_attention, sliding_attention$/,
    ],
    [
      "a part of each head to turn that is more than all",
      () => writeRandomCheckpoint({ ...shape, modelType: "phi3" }, { partial_rotary_factor: 1.5 }),
      /^config\.json: partial_rotary_factor is 1\.5, it must be at most 1$/,
    ],
    [
      "more experts for a token than there are",
      () => writeRandomCheckpoint({ ...shape, modelType: "qwen3_moe" }, { num_experts_per_tok: 5 }),
      /^config\.json: num_experts_per_tok is 5, it must be at most 4$/,
    ],
    [
      "a value that makes its logits no numbers",
      () => writeRandomCheckpoint(llama, { rms_norm_eps: -1 }),
      /^the model's logits are not finite numbers/,
    ],
    [
      "an unknown rotary scaling",
      () => writeRandomCheckpoint(llama, { rope_scaling: { rope_type: "nonesuch" } }),
      /^config\.json: rope_scaling\.rope_type is "nonesuch", it must be one of default, linear, llama3, yarn/,
    ],
    [
      "too few rotary factors",
      () => writeRandomCheckpoint(llama, { rope_scaling: { type: "longrope", long_factor: [1, 2] } }),
      /^config\.json: rope_scaling\.long_factor is \[1,2\], it must be a list of 8 numbers$/,
    ],
    [
      "no section of a gemma3",
      () => writeRandomCheckpoint(llama, { model_type: "gemma3" }),
      /^config\.json: text_config is missing, it must be an object$/,
    ],
  ];
  for (const [what, write, reason] of refused) {
    it(`is refused with ${what}`, async () => assert.match(await refusal(write()), reason));
  }

  it("may bring frequencies that follow from its config", async () => {
    const name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    const transform = (tensors: Tensors): Tensors => ({ ...tensors, [name]: mx.zeros([8]) });
    assert.strictEqual(await refusal(writeRandomCheckpoint(llama, {}, { transform })), "loaded");
  });
});
