/** Qwen2 checkpoints of random weights: what is measured depends on shapes alone, and anybody can make them again. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CheckpointShape {
  readonly name: string;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly feedForward: number;
  /** Says after each token the one of the next id, in two circles (`circles`). @default false */
  readonly counts?: boolean;
}

/** First ids and lengths of what a checkpoint that counts says again and again: soon, and not within a short text. */
export const circles = { short: { first: 100, length: 48 }, long: { first: 200, length: 800 } };

export const small: CheckpointShape = { name: "7M", hidden: 256, layers: 8, heads: 4, kvHeads: 2, feedForward: 768 };
export const large: CheckpointShape = { name: "36M", hidden: 512, layers: 12, heads: 8, kvHeads: 4, feedForward: 1408 };

const contextLength = 8192;

const root = join(import.meta.dirname, "../..");
const tokenizerFolder = join(root, "models/demo");

/** Where measurements keep what they need again; ignored by git. */
export const benchFolder = join(root, ".cache/bench");

const modelsFolder = join(benchFolder, "models");

/** Ids that end a sequence of the demo tokenizer. */
export const demoEndTokenIds: ReadonlyArray<number> = (
  JSON.parse(readFileSync(join(tokenizerFolder, "generation_config.json"), "utf8")) as { eos_token_id: number[] }
).eos_token_id;

/** Writes the checkpoint unless it is there; returns its folder. */
export const ensureCheckpoint = (shape: CheckpointShape): string => {
  const folder = join(modelsFolder, shape.name);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  mkdirSync(unfinished, { recursive: true });
  copyFileSync(join(tokenizerFolder, "tokenizer.json"), join(unfinished, "tokenizer.json"));
  const tokenizerConfig = JSON.parse(readFileSync(join(tokenizerFolder, "tokenizer_config.json"), "utf8")) as object;
  const widened = { ...tokenizerConfig, model_max_length: contextLength };
  writeFileSync(join(unfinished, "tokenizer_config.json"), JSON.stringify(widened));
  const vocabulary = readVocabulary();
  writeFileSync(join(unfinished, "config.json"), JSON.stringify(configOf(shape, vocabulary.length), null, 2));
  writeFileSync(join(unfinished, "model.safetensors"), encode(tensorsOf(shape, vocabulary)));
  renameSync(unfinished, folder);
  return folder;
};

/** The tokens by id. */
const readVocabulary = (): ReadonlyArray<string> => {
  const { model, added_tokens: added } = JSON.parse(readFileSync(join(tokenizerFolder, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number> };
    added_tokens: { id: number; content: string }[];
  };
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (const { id, content } of added) tokens[id] = content;
  return tokens;
};

const configOf = (shape: CheckpointShape, vocabularySize: number): object => ({
  architectures: ["Qwen2ForCausalLM"],
  model_type: "qwen2",
  hidden_act: "silu",
  hidden_size: shape.hidden,
  intermediate_size: shape.feedForward,
  num_hidden_layers: shape.layers,
  num_attention_heads: shape.heads,
  num_key_value_heads: shape.kvHeads,
  max_position_embeddings: contextLength,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  use_sliding_window: false,
  vocab_size: vocabularySize,
  eos_token_id: demoEndTokenIds[0],
  torch_dtype: "float32",
});

interface RandomTensor {
  readonly shape: ReadonlyArray<number>;
  readonly values: Float32Array;
}

const tensorsOf = (shape: CheckpointShape, vocabulary: ReadonlyArray<string>): ReadonlyMap<string, RandomTensor> => {
  const { hidden, layers, heads, kvHeads, feedForward } = shape;
  const random = createNormal(7);
  const kv = (hidden / heads) * kvHeads;
  const tensors = new Map<string, RandomTensor>();
  const matrix = (name: string, rows: number, columns: number): void => {
    const values = Float32Array.from({ length: rows * columns }, () => random() / Math.sqrt(columns));
    tensors.set(`${name}.weight`, { shape: [rows, columns], values });
  };
  const vector = (name: string, size: number, value: number): void => {
    tensors.set(name, { shape: [size], values: new Float32Array(size).fill(value) });
  };
  matrix("model.embed_tokens", vocabulary.length, hidden);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    for (const [name, rows] of [
      ["q_proj", hidden],
      ["k_proj", kv],
      ["v_proj", kv],
    ] as const) {
      matrix(`${prefix}.self_attn.${name}`, rows, hidden);
      vector(`${prefix}.self_attn.${name}.bias`, rows, 0);
    }
    matrix(`${prefix}.self_attn.o_proj`, hidden, hidden);
    matrix(`${prefix}.mlp.gate_proj`, feedForward, hidden);
    matrix(`${prefix}.mlp.up_proj`, feedForward, hidden);
    matrix(`${prefix}.mlp.down_proj`, hidden, feedForward);
    vector(`${prefix}.input_layernorm.weight`, hidden, 1);
    vector(`${prefix}.post_attention_layernorm.weight`, hidden, 1);
  }
  vector("model.norm.weight", hidden, 1);
  matrix("lm_head", vocabulary.length, hidden);
  if (shape.counts === true) chooseNext(tensors.get("model.embed_tokens.weight"), tensors.get("lm_head.weight"));
  else chooseWholeWords(tensors.get("lm_head.weight"), vocabulary);
  return tensors;
};

/**
 * Only words with a space before them are ever the most likely: mlx-lm holds back text until the next word begins, and
 * both sides hold back bytes of a character. So on both sides every token is text that is sent.
 */
const chooseWholeWords = (head: RandomTensor | undefined, vocabulary: ReadonlyArray<string>): void => {
  const hidden = head?.shape[1] ?? 0;
  for (const [id, token] of vocabulary.entries()) {
    if (!/^Ġ[a-zA-Z]+$/.test(token)) head?.values.fill(0, id * hidden, (id + 1) * hidden);
  }
};

/** The output layer looks for the embedding of the token before, which is large enough to come through all layers. */
const chooseNext = (embedding: RandomTensor | undefined, head: RandomTensor | undefined): void => {
  const hidden = head?.shape[1] ?? 0;
  if (embedding === undefined || head === undefined) throw new Error("the checkpoint has no embedding or no output");
  for (const index of embedding.values.keys()) embedding.values[index] = (embedding.values[index] ?? 0) * 1000;
  head.values.fill(0);
  for (const { first, length } of Object.values(circles)) {
    for (let place = 0; place < length; place++) {
      const id = first + place;
      const next = first + ((place + 1) % length);
      head.values.set(embedding.values.subarray(id * hidden, (id + 1) * hidden), next * hidden);
    }
  }
};

/** Normally distributed numbers: Box-Muller over a 32-bit xorshift. */
const createNormal = (seed: number): (() => number) => {
  let state = seed;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
};

/** The safetensors format: the header's length, a JSON header, the values one tensor after the other. */
const encode = (tensors: ReadonlyMap<string, RandomTensor>): Buffer => {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const [name, { shape, values }] of tensors)
    header[name] = { dtype: "F32", shape, data_offsets: [offset, (offset += values.byteLength)] };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.byteLength));
  return Buffer.concat([length, text, ...tensors.values().map(({ values }) => Buffer.from(values.buffer))]);
};
