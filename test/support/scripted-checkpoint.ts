/**
 * A tiny llama checkpoint that writes one fixed text, whatever it is asked: its layers add nothing, so the next token is told
 * by the last one alone.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { byteLevelAlphabet } from "../../src/service/prompt/longest-token.ts";

/** A text in ordinary tokens, or a special token. */
type ScriptPart = string | { readonly special: string };

export interface ScriptedCheckpoint {
  readonly script: ReadonlyArray<ScriptPart>;
  /** Jinja. */
  readonly template: string;
  /** Special tokens beside those of the script. */
  readonly specials?: ReadonlyArray<string>;
  /** @default `<|eos|>` */
  readonly eos?: string;
}

/** Writes it into the folder, which gives the model its name and so its family. */
export const writeScriptedCheckpoint = (
  directory: string,
  { script, template, specials = [], eos = "<|eos|>" }: ScriptedCheckpoint,
): void => {
  const alphabet = byteLevelAlphabet();
  const vocabulary = new Map(alphabet.map((character, byte) => [character, byte]));
  const plan: ({ readonly id: number } | { readonly special: string })[] = [];
  for (const part of script) {
    if (typeof part !== "string") plan.push(part);
    else for (const piece of piecesOf(part, alphabet, vocabulary)) plan.push({ id: vocabulary.get(piece) ?? 0 });
  }
  const written = plan.flatMap((step) => ("special" in step ? [step.special] : []));
  const added = [...new Set([...specials, ...written, eos])];
  const idOf = (special: string): number => vocabulary.size + added.indexOf(special);
  const ids = plan.map((step) => ("special" in step ? idOf(step.special) : step.id));
  if (new Set(ids).size !== ids.length) throw new Error("a token comes twice in the script");
  const size = vocabulary.size + added.length;
  const next = Array.from({ length: size }, () => ids[0] ?? idOf(eos));
  for (const [index, id] of ids.entries()) next[id] = ids[index + 1] ?? idOf(eos);

  mkdirSync(directory, { recursive: true });
  const write = (file: string, value: unknown) => writeFileSync(join(directory, file), JSON.stringify(value));
  const width = size + ((4 - (size % 4)) % 4);
  writeFileSync(join(directory, "model.safetensors"), weights(next, width));
  write("config.json", {
    model_type: "llama",
    hidden_size: width,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    head_dim: 8,
    intermediate_size: 8,
    vocab_size: size,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 4096,
    tie_word_embeddings: false,
    eos_token_id: idOf(eos),
  });
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  write("tokenizer.json", {
    version: "1.0",
    added_tokens: added.map((content) => ({ id: idOf(content), content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", byte_fallback: false, vocab: Object.fromEntries(vocabulary), merges: [] },
  });
  write("tokenizer_config.json", {
    eos_token: eos,
    tokenizer_class: "PreTrainedTokenizerFast",
    chat_template: template,
  });
};

/** Cuts a text into pieces that are no tokens yet, as each place of the script needs a token of its own, and makes them such. */
const piecesOf = (text: string, alphabet: ReadonlyArray<string>, vocabulary: Map<string, number>): string[] => {
  const characters = Array.from(Buffer.from(text), (byte) => alphabet[byte] ?? "");
  const cut = (at: number, used: ReadonlySet<string>): string[] | undefined => {
    if (at === characters.length) return [];
    for (const length of [2, 3, 4, 5, 6, 7, 8, 9, 1]) {
      const piece = characters.slice(at, at + length).join("");
      if (at + length > characters.length || vocabulary.has(piece) || used.has(piece)) continue;
      const rest = cut(at + length, new Set([...used, piece]));
      if (rest !== undefined) return [piece, ...rest];
    }
    return undefined;
  };
  const pieces = cut(0, new Set()) ?? [characters.join("")];
  for (const piece of pieces) vocabulary.set(piece, vocabulary.size);
  return pieces;
};

const weights = (next: ReadonlyArray<number>, width: number): Buffer => {
  const size = next.length;
  const one = (rows: number, fill: (values: Float32Array) => void, columns = width) => {
    const values = new Float32Array(rows * columns);
    fill(values);
    return { shape: rows === 1 && columns === width ? [width] : [rows, columns], values };
  };
  const zeros = () => {};
  const ones = (values: Float32Array) => void values.fill(1);
  const layer = "model.layers.0";
  const tensors = {
    "model.embed_tokens.weight": one(size, (values) => {
      for (let id = 0; id < size; id++) values[id * width + id] = 1;
    }),
    "lm_head.weight": one(size, (values) => {
      for (const [id, following] of next.entries()) values[following * width + id] = 2;
    }),
    "model.norm.weight": one(1, ones),
    [`${layer}.input_layernorm.weight`]: one(1, ones),
    [`${layer}.post_attention_layernorm.weight`]: one(1, ones),
    ...Object.fromEntries(
      ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"].map((name) => [
        `${layer}.${name}.weight`,
        one(8, zeros),
      ]),
    ),
    ...Object.fromEntries(
      ["self_attn.o_proj", "mlp.down_proj"].map((name) => [`${layer}.${name}.weight`, one(width, zeros, 8)]),
    ),
  };
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, values }]) => {
      const start = end;
      end += values.byteLength;
      return [name, { dtype: "F32", shape, data_offsets: [start, end] }];
    }),
  );
  const json = Buffer.from(JSON.stringify({ __metadata__: { format: "mlx" }, ...header }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const data = Object.values(tensors).map(({ values }) => Buffer.from(values.buffer));
  return Buffer.concat([length, json, ...data]);
};
