/** Which files of a repository make a model. */
import { Result } from "effect";

import { ModelBroken } from "../../domain/errors.ts";

export interface RemoteFile {
  /** At the top of the repository, and a plain name. */
  readonly path: string;
  readonly size: number;
  /** Undefined where nobody tells it. */
  readonly checksum: Checksum | undefined;
}

/** Of a file's content; the hub gives a sha256 for large files and git's own blob id for small ones. */
export interface Checksum {
  readonly algorithm: "sha256" | "git-blob-sha1";
  /** Hexadecimal, in lower case. */
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

/** A name that cannot mean another folder or a hidden file. */
const plainName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const isWeights = (path: string): boolean => path.endsWith(".safetensors");
/** What mlx_lm writes and loads; other safetensors beside these are the same weights in another layout. */
const isModelWeights = (path: string): boolean => isWeights(path) && path.startsWith("model");

/** Not the weights in other formats, nor images, examples and other folders. */
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
  // Small files first: what is wrong with access or disk shows at once.
  return Result.succeed([...plain.filter(({ path }) => companions.has(path)), ...weights]);
};
