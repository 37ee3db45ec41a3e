/** A byte-level tokenizer of the usual size: 151,000 pieces, splitting as Qwen's does. */
import { byteLevelAlphabet } from "../../src/service/prompt/longest-token.ts";
import { byteLevel, type TokenizerFixture } from "../fixtures/tokenizers.ts";

const pattern = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Repeats itself exactly. */
const randomNumbers = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

export const largeTokenizer = (size = 151_000): TokenizerFixture => {
  const random = randomNumbers(1);
  const pieces = [...byteLevelAlphabet()];
  const known = new Set(pieces);
  const merges: string[] = [];
  const merge = (left: string, right: string): void => {
    if (known.has(left + right) || left.length + right.length > 24) return;
    known.add(left + right);
    pieces.push(left + right);
    merges.push(`${left} ${right}`);
  };
  // Runs, as real ones have them.
  for (const one of ["Ġ", "_", "-", "=", "."]) for (let run = one; run.length <= 16; run += run) merge(run, run);
  // Letters first: words are what most pieces are.
  const letters = [..."Ġetaoinshrdlucmfwypvbgkjqxz"];
  const words = [...letters];
  while (pieces.length < size) {
    const [left = "e", right = "t"] = [words[random(words.length)], words[random(Math.min(words.length, 4000))]];
    if (right.startsWith("Ġ")) continue;
    const before = pieces.length;
    merge(left, right);
    if (pieces.length > before) words.push(left + right);
  }
  const { tokenizerJson, tokenizerConfig } = byteLevel;
  const shift = pieces.length - 264;
  return {
    tokenizerConfig,
    tokenizerJson: {
      ...tokenizerJson,
      added_tokens: (tokenizerJson["added_tokens"] as { id: number }[]).map((token) => ({
        ...token,
        id: token.id + shift,
      })),
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      model: {
        ...(tokenizerJson["model"] as object),
        vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
        merges,
      },
    },
  };
};
