/** Chooses the files of a repository that form a model. */
import { Result } from "effect";

import { ModelBroken } from "../../domain/errors.ts";

export interface RemoteFile {
  /** A plain name at the top level of the repository. */
  readonly path: string;
  readonly size: number;
  /** Undefined if the hub gives none. */
  readonly checksum: Checksum | undefined;
}

/** The hash of a file's content; the hub gives a sha256 for large files and git's blob id for small ones. */
export interface Checksum {
  readonly algorithm: "sha256" | "git-blob-sha1";
  /** Hexadecimal, lower case. */
  readonly digest: string;
}

const companions: ReadonlySet<string> = new Set([
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
  "config.json",
  "generation_config.json",
  "merges.txt",
  "model.safetensors.index.json",
  "preprocessor_config.json",
  "processor_config.json",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "vocab.json",
  "vocab.txt",
]);

const required = ["config.json", "tokenizer.json"];

/** A name that cannot refer to another folder or a hidden file. */
const plainName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const isWeights = (path: string): boolean => path.endsWith(".safetensors");
/** The files that mlx_lm writes and loads; other safetensors beside these are the same weights in another layout. */
const isModelWeights = (path: string): boolean => isWeights(path) && path.startsWith("model");

/** Excludes weights in other formats, images, examples and subfolders. */
export const chooseFiles = (
  repository: string,
  files: ReadonlyArray<RemoteFile>,
): Result.Result<ReadonlyArray<RemoteFile>, ModelBroken> => {
  const plain = files.filter(({ path }) => plainName.test(path));
  const wanted = plain.some(({ path }) => isModelWeights(path)) ? isModelWeights : isWeights;
  const weights = plain.filter(({ path }) => wanted(path));
  const missing =
    required.find((name) => !plain.some(({ path }) => path === name)) ??
    (weights.length === 0 ? "weights as safetensors" : undefined);
  if (missing !== undefined) {
    return Result.fail(new ModelBroken({ model: repository, cause: `its repository has no ${missing}` }));
  }
  // Small files first, so that problems with access or disk show up early.
  return Result.succeed([...plain.filter(({ path }) => companions.has(path)), ...weights]);
};
