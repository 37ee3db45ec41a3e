/** The tokens of a vocabulary as a trie: tokens with a common prefix are adjacent. */
import { longestToken } from "./frames.ts";

export class TokenTrie {
  /** The nodes in depth-first order, each with its byte and its depth, counted from 1. */
  readonly bytes: Uint8Array;
  readonly depths: Uint8Array;
  /** For each node, the first node after its subtree. */
  readonly skips: Int32Array;
  /** For each node, the token that ends there, or -1. */
  readonly tokens: Int32Array;
  /** For each token, another token with the same bytes, or -1. */
  readonly twins: Int32Array;

  /** @param vocabulary by id; empty for tokens that write nothing. Tokens longer than `longestToken` are left out. */
  constructor(vocabulary: ReadonlyArray<Uint8Array>) {
    // Strings with one character per byte compare much faster than byte arrays.
    const written = vocabulary.flatMap((bytes, id) =>
      bytes.length === 0 || bytes.length > longestToken ? [] : [{ id, bytes, key: latin1(bytes) }],
    );
    written.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const most = written.reduce((total, { bytes }) => total + bytes.length, 0);
    const bytesOf = new Uint8Array(most);
    const depths = new Uint8Array(most);
    const tokens = new Int32Array(most).fill(-1);
    this.twins = new Int32Array(vocabulary.length).fill(-1);
    let size = 0;
    let before: Uint8Array = new Uint8Array();
    for (const { id, bytes } of written) {
      const common = sharedLength(before, bytes);
      if (common === bytes.length) {
        // Tokens are sorted, so an equal one was the last.
        const last = size - 1;
        this.twins[id] = tokens[last] ?? -1;
        tokens[last] = id;
        continue;
      }
      for (let place = common; place < bytes.length; place++) {
        bytesOf[size] = bytes[place] ?? 0;
        depths[size] = place + 1;
        size += 1;
      }
      tokens[size - 1] = id;
      before = bytes;
    }
    this.bytes = bytesOf.slice(0, size);
    this.depths = depths.slice(0, size);
    this.tokens = tokens.slice(0, size);
    this.skips = new Int32Array(size);
    const open: number[] = [];
    for (let node = 0; node <= size; node++) {
      const depth = node < size ? (this.depths[node] ?? 1) : 1;
      while (open.length >= depth) this.skips[open.pop() ?? 0] = node;
      open.push(node);
    }
  }
}

const sharedLength = (a: Uint8Array, b: Uint8Array): number => {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
};

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
