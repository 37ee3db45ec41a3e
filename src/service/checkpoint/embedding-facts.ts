/** Finds out how a checkpoint computes embeddings, from the files of sentence-transformers if it has them. */
import { Schema } from "effect";

import type { Pooling } from "../domain/embedding.ts";
import type { EmbeddingFacts } from "../domain/model.ts";
import { readOptional } from "./checkpoint-files.ts";
import { decodeJson, JsonObject } from "./decode-json.ts";

const Modules = Schema.Array(Schema.Struct({ type: Schema.String, path: Schema.String }));

/** The keys of config.json that are read. */
export const EmbeddingConfig = {
  hidden_size: Schema.optionalKey(Schema.Unknown),
  is_matryoshka: Schema.optionalKey(Schema.Unknown),
  matryoshka_dimensions: Schema.optionalKey(Schema.Unknown),
  use_bidirectional_attention: Schema.optionalKey(Schema.Unknown),
};
type EmbeddingConfig = { readonly [Key in keyof typeof EmbeddingConfig]?: unknown };

/** Throws CheckpointInvalid for a file that cannot be read. */
export const readEmbeddingFacts = async (directory: string, config: EmbeddingConfig): Promise<EmbeddingFacts> => {
  const modulesFile = await readOptional(directory, "modules.json");
  const modules = modulesFile && decodeJson("modules.json", modulesFile, Modules);
  const poolingModule = modules?.find(({ type }) => moduleName(type) === "Pooling");
  const poolingFile = `${poolingModule?.path ?? "1_Pooling"}/config.json`;
  const poolingConfig = isPlain(poolingFile) ? await readOptional(directory, poolingFile) : undefined;
  const modes = poolingConfig && enabledModes(decodeJson(poolingFile, poolingConfig, JsonObject));
  const [mode] = modes ?? [];
  const pooling = mode === undefined ? undefined : poolings[mode];
  return {
    pooling: pooling ?? "last-token",
    dimensions: typeof config.hidden_size === "number" ? config.hidden_size : 0,
    trained: pooling !== undefined,
    matryoshka: matryoshkaOf(config),
    problem: [
      ...(modules ?? []).flatMap(({ type }) => unknownModule(moduleName(type))),
      ...(modes === undefined || (modes.length === 1 && pooling !== undefined) ? [] : [unknownPooling(modes)]),
      ...(config.use_bidirectional_attention === true ? ["its attention looks ahead, which is not supported"] : []),
    ][0],
  };
};

/** For example `sentence_transformers.models.Pooling`; newer versions have other paths that end with the same names. */
const moduleName = (type: string): string => type.slice(type.lastIndexOf(".") + 1);

const unknownModule = (name: string): ReadonlyArray<string> =>
  ["Transformer", "Pooling", "Normalize"].includes(name)
    ? []
    : [`modules.json has a module ${name.slice(0, 40)}, which is not supported`];

/** Within the folder. */
const isPlain = (path: string): boolean => /^[\w.-]+\/config\.json$/.test(path) && !path.startsWith("..");

const enabledModes = (config: Readonly<Record<string, unknown>>): ReadonlyArray<string> =>
  Object.keys(config).filter((key) => key.startsWith("pooling_mode_") && config[key] === true);

const poolings: Readonly<Record<string, Pooling>> = {
  pooling_mode_lasttoken: "last-token",
  pooling_mode_mean_tokens: "mean",
  pooling_mode_cls_token: "first-token",
};

const unknownPooling = (modes: ReadonlyArray<string>): string =>
  `it pools by ${modes.length === 0 ? "nothing" : modes.join(" and ").slice(0, 100)}, which is not supported`;

/** The same keys that vLLM reads. */
const matryoshkaOf = (config: EmbeddingConfig): ReadonlyArray<number> | undefined => {
  const { matryoshka_dimensions: dimensions, is_matryoshka: isMatryoshka } = config;
  if (isNumbers(dimensions)) return dimensions;
  return isMatryoshka === true ? [] : undefined;
};

const isNumbers = Schema.is(Schema.Array(Schema.Int));
