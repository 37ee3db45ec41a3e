/** Reads a model's facts from its checkpoint folder, without loading it. */
import { Predicate, Schema } from "effect";

import { localEngine } from "../domain/engine-names.ts";
import type { ModelDefaults, ModelFacts } from "../domain/model.ts";
import { TemplateError } from "../prompt/jinja/values.ts";
import { createChatTemplate } from "../prompt/chat-template.ts";
import { specialTokens } from "../prompt/special-tokens.ts";
import { CheckpointInvalid, readChatTemplateFile, readOptional, readRequired } from "./checkpoint-files.ts";
import { decodeJson, JsonObject } from "./decode-json.ts";
import { countParameters, unpackedBytes } from "./count-parameters.ts";
import { EmbeddingConfig, readEmbeddingFacts } from "./embedding-facts.ts";
import { configuredDefaults, GenerationConfigJson, TokenIds, tokenIdList } from "./generation-config.ts";
import { readRevision, readStamp } from "./revision.ts";
import { readWeightsHeader, type TensorHeader } from "./safetensors.ts";

/** Without the facts that the configuration influences, and without the adapters, which may be in another folder. */
export interface Checkpoint extends Omit<ModelFacts, "id" | "aliases" | "source" | "adapters" | "family" | "defaults"> {
  /** Names other than its own that indicate its family. */
  readonly familyNames: ReadonlyArray<string>;
  /** From generation_config.json. */
  readonly defaults: Partial<ModelDefaults>;
  /** Parts of the files that are not used, each in one sentence. */
  readonly notes: ReadonlyArray<string>;
}

/**
 * All facts come from the same version of the files: if they change during reading, they are read again. Throws
 * CheckpointInvalid.
 */
export const readCheckpoint = async (directory: string): Promise<Checkpoint> => {
  for (let attempt = 1; attempt <= maxReadings; attempt++) {
    const before = await readStamp(directory);
    const read = await readFiles(directory).catch((error: unknown) => new Unread(error));
    if ((await readStamp(directory)) !== before) continue;
    if (read instanceof Unread) throw read.cause;
    return read;
  }
  throw new CheckpointInvalid("the model's folder", "is being written to: its files change while they are read");
};

const maxReadings = 3;

/** Thrown if the files changed during reading: an error found in a mixture of old and new files means nothing. */
class Unread {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

const readFiles = async (directory: string): Promise<Checkpoint> => {
  const configFile = await readRequired(directory, "config.json");
  const config = decodeConfig(configFile);
  const weights = await readWeightsHeader(directory);
  const tokenizerFile = await readRequired(directory, "tokenizer.json");
  const tokenizerConfigFile = await readOptional(directory, "tokenizer_config.json");
  const tokenizerConfig = decodeJson("tokenizer_config.json", tokenizerConfigFile, JsonObject);
  const generationFile = await readOptional(directory, "generation_config.json");
  const generation = decodeJson("generation_config.json", generationFile, GenerationConfigJson);
  const template = await readChatTemplateFile(directory);
  const parameterCount = countParameters(weights.tensors, bitsOf(config));
  checkWeights(config, weights.tensors);
  const tokenizer = decodeJson("tokenizer.json", tokenizerFile, TokenizerJson);
  const configured = configuredDefaults(generation);
  const statedEosTokenIds = [
    ...tokenIdList(generation.eos_token_id),
    ...tokenIdList(config.eos_token_id),
    ...eosOfTokenizer(tokenizerConfig, tokenizer),
  ];
  const vocabularySize = config.vocab_size ?? embeddingRows(weights.tensors);
  const eosTokenIds = [...new Set(statedEosTokenIds)].filter((id) => id >= 0 && id < (vocabularySize || Infinity));
  const embedding = await readEmbeddingFacts(directory, config);
  return {
    directory,
    revision: await readRevision(directory),
    architecture: config.model_type,
    familyNames: [config._name_or_path ?? "", config.model_type],
    contextLength: contextLength(config.max_position_embeddings, tokenizerConfig.model_max_length),
    vocabularySize,
    parameterCount,
    estimatedBytes: keepsStoredForm
      ? weights.storedBytes + unpackedBytes(weights.tensors, bitsOf(config))
      : parameterCount * bytesPerFloat32,
    ...widthsOf(config),
    eosTokenIds,
    defaults: configured.defaults,
    capabilities: {
      chat: true,
      tools: takesTools(tokenizerConfig, template?.value),
      vision: false,
      logprobs: true,
      adapters: true,
      embeddings: embedding.problem === undefined,
      constraints: ["json_schema", "regex", "grammar", "choice", "json_object"],
    },
    embedding,
    engine: localEngine,
    notes: configured.notes,
  };
};

/** If the template is invalid, that is reported when the model is used. */
const takesTools = (tokenizerConfig: object, chatTemplateFile: unknown): boolean => {
  try {
    return createChatTemplate({ tokenizerConfig, chatTemplateFile }).tools !== undefined;
  } catch (cause) {
    if (cause instanceof TemplateError || cause instanceof RangeError) return false;
    throw cause;
  }
};

const widthsOf = ({
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_attention_heads: attentionHeads,
}: ConfigJson): Pick<ModelFacts, "widths"> =>
  typeof hidden === "number" && intermediate && attentionHeads
    ? { widths: { hidden, intermediate, attentionHeads } }
    : {};

/** On Metal the engine computes with weights as they are stored; on a CPU it converts all of them to float32. */
const keepsStoredForm = process.platform === "darwin" && process.arch === "arm64";
const bytesPerFloat32 = 4;

const maybe = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema));
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1));

const textFields = {
  vocab_size: maybe(Count),
  max_position_embeddings: maybe(Count),
  eos_token_id: TokenIds,
  num_hidden_layers: maybe(Count),
  num_attention_heads: maybe(Count),
  intermediate_size: maybe(Count),
  ...EmbeddingConfig,
};

const ConfigJson = Schema.Struct({
  ...textFields,
  model_type: Schema.String,
  _name_or_path: maybe(Schema.String),
  /** In multimodal models, the keys that a text-only model has at the top level. */
  text_config: maybe(Schema.Struct(textFields)),
  /** `bits` for all layers; the settings of single layers are stored under their names. */
  quantization: maybe(JsonObject),
  /** The same, in addition or instead. */
  quantization_config: maybe(JsonObject),
});
type ConfigJson = typeof ConfigJson.Type;

const decodeConfig = (file: Buffer): ConfigJson => {
  const { text_config: text, ...config } = decodeJson("config.json", file, ConfigJson);
  return {
    ...config,
    vocab_size: config.vocab_size ?? text?.vocab_size ?? null,
    max_position_embeddings: config.max_position_embeddings ?? text?.max_position_embeddings ?? null,
    eos_token_id: config.eos_token_id ?? text?.eos_token_id ?? null,
    num_hidden_layers: config.num_hidden_layers ?? text?.num_hidden_layers ?? null,
    num_attention_heads: config.num_attention_heads ?? text?.num_attention_heads ?? null,
    intermediate_size: config.intermediate_size ?? text?.intermediate_size ?? null,
    hidden_size: config.hidden_size ?? text?.hidden_size,
  };
};

const bitsOf =
  ({ quantization, quantization_config: again }: ConfigJson) =>
  (layer: string): number => {
    const settings = quantization ?? again;
    const bits = [settings?.[layer], settings].map((values) => decodeBits(values)).find((value) => value > 0);
    if (bits === undefined) throw new CheckpointInvalid("config.json", `does not tell the bits of quantised ${layer}`);
    return bits;
  };

/** 0 if the bits are not given. */
const decodeBits = (values: unknown): number => {
  if (hasBits(values)) return values.bits;
  return hasMethod(values) ? Number(/\d$/.exec(values.quant_method)?.[0]) : 0;
};
const hasBits = Schema.is(Schema.Struct({ bits: Count }));
/** Other quantisers only name their method. */
const hasMethod = Schema.is(Schema.Struct({ quant_method: Schema.Literals(["mxfp4", "mxfp8"]) }));

const contextLength = (positions: number | null | undefined, tokenizerMaxLength: unknown): number => {
  // The tokenizer's limit is often a leftover: it is used only if there is no other.
  if (typeof positions === "number") return positions;
  // Tokenizers without a limit state a huge number, 1e30.
  const isLimit = typeof tokenizerMaxLength === "number" && tokenizerMaxLength >= 1 && tokenizerMaxLength < 1e9;
  return isLimit ? Math.floor(tokenizerMaxLength) : defaultContextLength;
};

/** If no file states a context length. */
const defaultContextLength = 8192;

/** 0 if the embedding has no usual name. */
const embeddingRows = (tensors: ReadonlyMap<string, TensorHeader>): number => {
  for (const [name, { shape }] of tensors) if (name.endsWith("embed_tokens.weight")) return shape[0] ?? 0;
  return 0;
};

/** Detects weights of another model than config.json describes. The engine reports other problems by tensor. */
const checkWeights = (config: ConfigJson, tensors: ReadonlyMap<string, TensorHeader>): void => {
  const mismatch = (stated: number, what: string, found: number) =>
    new CheckpointInvalid(
      "config.json",
      `tells ${stated} ${what}, the weights have ${found}: they are another model's`,
    );
  let layers = 0;
  for (const name of tensors.keys()) layers = Math.max(layers, Number(layerName.exec(name)?.[1] ?? -1) + 1);
  const { num_hidden_layers: statedLayers, vocab_size: statedRows } = config;
  // There may be more: some models contain extra layers for speculative decoding.
  if (typeof statedLayers === "number" && layers > 0 && layers < statedLayers) {
    throw mismatch(statedLayers, "layers", layers);
  }
  const rows = embeddingRows(tensors);
  if (typeof statedRows === "number" && rows > 0 && rows !== statedRows) throw mismatch(statedRows, "tokens", rows);
};

const layerName = /^(?:language_model\.)?(?:model\.)?layers\.(\d+)\./;

/** The ids of the tokenizer's `eos_token`: one or none. */
const eosOfTokenizer = (
  tokenizerConfig: object,
  { added_tokens: added, model }: typeof TokenizerJson.Type,
): ReadonlyArray<number> => {
  const eos = specialTokens(tokenizerConfig).eos_token;
  if (typeof eos !== "string") return [];
  const id =
    added.find(({ content }) => content === eos)?.id ?? (isVocabulary(model.vocab) ? model.vocab[eos] : undefined);
  return id === undefined ? [] : [id];
};

const TokenizerJson = Schema.Struct({
  added_tokens: Schema.Array(Schema.Struct({ id: Schema.Int, content: Schema.String })),
  model: Schema.Struct({ vocab: Schema.Unknown }),
});

/**
 * Unigram models have a list of pieces; their eos is one of the added tokens. The pieces are not validated one by one,
 * as there are many.
 */
const isVocabulary = (vocabulary: unknown): vocabulary is Readonly<Record<string, number>> =>
  Predicate.isObject(vocabulary) && !Array.isArray(vocabulary);
