/** Jobs with a model's tokenizer, which the lane loads from its folder and keeps. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { createTokenizer } from "../../prompt/create-tokenizer.ts";
import type { Tokenizer } from "../../prompt/Tokenizer.ts";

export interface EncodeInput {
  /** The model's folder. */
  readonly directory: string;
  readonly text: string;
  readonly addSpecialTokens: boolean;
}

/** The text's token ids. */
export const encode = ({ directory, text, addSpecialTokens }: EncodeInput): Uint32Array =>
  Uint32Array.from(tokenizerOf(directory).encode(text, { addSpecialTokens }));

const tokenizers = new Map<string, Tokenizer>();

const tokenizerOf = (directory: string): Tokenizer => {
  const known = tokenizers.get(directory);
  if (known !== undefined) return known;
  const read = (file: string): object => JSON.parse(readFileSync(join(directory, file), "utf8")) as object;
  const tokenizer = createTokenizer({
    tokenizerJson: read("tokenizer.json"),
    tokenizerConfig: read("tokenizer_config.json"),
  });
  tokenizers.set(directory, tokenizer);
  return tokenizer;
};
