import { Tokenizer } from "@huggingface/tokenizers";

/** Splits text before merging as Qwen's tokenizers do: letters with one leading sign or space, single digits, other signs. */
const splitPattern = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const addedTokens = [
  ["<|endoftext|>", true],
  ["<|im_start|>", true],
  ["<|im_end|>", true],
  ["<tool_call>", false],
  ["</tool_call>", false],
  ["<tool_response>", false],
  ["</tool_response>", false],
] as const;

export interface TokenizerFiles {
  /** tokenizer.json */
  tokenizer: Record<string, unknown>;
  /** tokenizer_config.json */
  config: Record<string, unknown>;
}

/** Learns a byte-level BPE of `vocabularySize` tokens, the added ones included, from sample texts. */
export function trainTokenizer(
  texts: Iterable<string>,
  vocabularySize: number,
  chatTemplate: string,
  context: number,
): TokenizerFiles {
  const bytes = byteCharacters();
  const merges = learnMerges(countWords(texts, bytes), vocabularySize - bytes.length - addedTokens.length);
  const vocabulary = [...bytes, ...merges.map(([left, right]) => left + right)];
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const added = addedTokens.map(([content, special], index) => ({
    id: vocabulary.length + index,
    content,
    ...flags,
    special,
  }));
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: { type: "NFC" },
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Split", pattern: { Regex: splitPattern }, behavior: "Isolated", invert: false },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: "",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
        merges: merges.map(([left, right]) => `${left} ${right}`),
      },
    },
    config: {
      add_bos_token: false,
      add_prefix_space: false,
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [id, token])),
      additional_special_tokens: ["<|im_start|>", "<|im_end|>"],
      bos_token: null,
      eos_token: "<|im_end|>",
      pad_token: "<|endoftext|>",
      unk_token: null,
      chat_template: chatTemplate,
      clean_up_tokenization_spaces: false,
      errors: "replace",
      model_max_length: context,
      split_special_tokens: false,
      tokenizer_class: "Qwen2Tokenizer",
    },
  };
}

export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  return new Tokenizer(files.tokenizer, files.config);
}

/** The id of one of the added tokens. */
export function tokenId(tokenizer: Tokenizer, token: (typeof addedTokens)[number][0]): number {
  const id = tokenizer.token_to_id(token);
  if (id === undefined) throw new Error(`the tokenizer has no token ${token}`);
  return id;
}

type Merge = readonly [left: string, right: string];

/** The most frequent neighbours are joined, again and again; ties go to the pair that sorts first. */
function learnMerges(counts: Map<string, number>, wanted: number): Merge[] {
  const words = [...counts].map(([word, count]) => ({ parts: [...word], count }));
  const merges: Merge[] = [];
  while (merges.length < wanted) {
    const pairs = new Map<string, number>();
    for (const { parts, count } of words) {
      for (let index = 1; index < parts.length; index++) {
        const pair = `${parts[index - 1]} ${parts[index]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    let best = "";
    let bestCount = 0;
    for (const [pair, count] of pairs) {
      if (count > bestCount || (count === bestCount && pair < best)) [best, bestCount] = [pair, count];
    }
    const [left, right] = best.split(" ");
    if (left === undefined || right === undefined)
      throw new Error(`the texts have only ${merges.length} pairs to merge`);
    merges.push([left, right]);
    for (const word of words) word.parts = join(word.parts, left, right);
  }
  return merges;
}

function join(parts: string[], left: string, right: string): string[] {
  if (!parts.includes(left)) return parts;
  const joined: string[] = [];
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] ?? "";
    if (part === left && parts[index + 1] === right) {
      joined.push(left + right);
      index++;
    } else joined.push(part);
  }
  return joined;
}

function countWords(texts: Iterable<string>, bytes: readonly string[]): Map<string, number> {
  const pattern = new RegExp(splitPattern, "gu");
  const special = new RegExp(addedTokens.map(([token]) => token.replaceAll("|", "\\|")).join("|"), "g");
  const encoder = new TextEncoder();
  const order = byteOrder();
  const characters = new Map(order.map((byte, index) => [byte, bytes[index] ?? ""]));
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const part of text.normalize("NFC").split(special)) {
      for (const [word] of part.matchAll(pattern)) {
        const key = Array.from(encoder.encode(word), (byte) => characters.get(byte) ?? "").join("");
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }
  return counts;
}

/** GPT-2's order: first the bytes that print as themselves, then the others, shown as characters from U+0100 on. */
function byteOrder(): number[] {
  const printed = Array.from({ length: 256 }, (_, byte) => byte).filter(isPrinted);
  return [...printed, ...Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !isPrinted(byte))];
}

function byteCharacters(): string[] {
  let next = 0x100;
  return byteOrder().map((byte) => String.fromCharCode(isPrinted(byte) ? byte : next++));
}

function isPrinted(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}
