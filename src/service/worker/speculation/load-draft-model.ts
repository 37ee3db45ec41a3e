/** Loads a checkpoint folder into a draft model. */
import { isDeepStrictEqual } from "node:util";

import type { Model } from "../architectures/Model.ts";
import { loadCheckpoint, type WeightsForm } from "../checkpoint.ts";
import { snapshotBytes } from "../cache/cache-size.ts";
import { LoadError } from "../files/load-error.ts";
import { readSmallFile } from "../files/regular-file.ts";

/** Throws LoadError if anything is wrong with the folder, or if its tokens differ from the main model's. */
export const loadDraftModel = async (
  directory: string,
  mainDirectory: string,
  main: Model,
  form?: WeightsForm,
): Promise<Model> => {
  const [tokens, mainTokens] = [readTokens(directory), readTokens(mainDirectory)];
  if (!isDeepStrictEqual(tokens, mainTokens)) {
    throw new LoadError("the draft model's tokenizer.json has other tokens than the model's: it cannot draft for it");
  }
  const draft = await loadNamed(directory, form);
  // Without tokenizers only the sizes can be compared; with them sizes may differ by padding.
  if (tokens === undefined && draft.vocabularySize !== main.vocabularySize) {
    throw new LoadError(
      `the draft model has a vocabulary of ${draft.vocabularySize}, the model one of ${main.vocabularySize}: it cannot draft for it`,
    );
  }
  return draft;
};

/** The main model's share of the KV cache bytes: both caches hold the same number of tokens. */
export const mainCacheBytes = (bytes: number, main: Model, draft: Model): number => {
  const [own, other] = [main, draft].map(({ cacheShape }) => snapshotBytes(cacheShape, 1)) as [number, number];
  return Math.floor((bytes * own) / (own + other));
};

const loadNamed = async (directory: string, form?: WeightsForm): Promise<Model> => {
  try {
    return await loadCheckpoint(directory, form);
  } catch (cause) {
    throw cause instanceof LoadError ? new LoadError(`the draft model: ${cause.message}`) : cause;
  }
};

/** Ids by token; undefined without a tokenizer.json. */
const readTokens = (directory: string): ReadonlyMap<string, number> | undefined => {
  const text = readSmallFile(directory, "tokenizer.json", tokenizerMaxBytes);
  if (text === undefined) return undefined;
  const { model, added_tokens: added = [] } = JSON.parse(text) as TokenizerFile;
  return new Map([
    ...Object.entries(model?.vocab ?? {}),
    ...added.map(({ id, content }) => [content, id] as [string, number]),
  ]);
};

const tokenizerMaxBytes = 64 * 1024 ** 2;

interface TokenizerFile {
  /** Unigram models have a list, whose indexes are the ids. */
  readonly model?: { readonly vocab?: Readonly<Record<string, number>> };
  readonly added_tokens?: ReadonlyArray<{ readonly id: number; readonly content: string }>;
}
