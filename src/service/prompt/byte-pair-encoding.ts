/**
 * Byte-pair encoding in O(n log n) of a word's length, at a few hundred nanoseconds per character. The library's own
 * implementation makes a JSON text for each pair that it looks up, and takes 10 to 20 us.
 */

/**
 * The pieces of a word in order. Of all adjacent pairs, the one with the lowest rank is merged first, the leftmost
 * among equals.
 */
export type EncodeWord = (word: string) => string[];

/** @param merges in the order of their ranks */
export const createBytePairEncoder = (merges: ReadonlyArray<readonly [string, string]>): EncodeWord => {
  const symbols: string[] = [];
  const symbolOf = new Map<string, number>();
  const intern = (text: string): number => {
    const known = symbolOf.get(text);
    if (known !== undefined) return known;
    symbols.push(text);
    symbolOf.set(text, symbols.length - 1);
    return symbols.length - 1;
  };
  const table = new PairTable(merges.length);
  for (const [rank, [left, right]] of merges.entries())
    table.set(intern(left), intern(right), rank, intern(left + right));

  return (word) => {
    const characters = Array.from(word);
    const count = characters.length;
    if (count < 2) return characters;
    const symbol = new Int32Array(count);
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    for (let at = 0; at < count; at++) {
      // A character that occurs in no merge keeps its place, which identifies it.
      symbol[at] = symbolOf.get(characters[at] ?? "") ?? -1 - at;
      next[at] = at + 1;
      previous[at] = at - 1;
    }
    const rankAt = (at: number): number => {
      const right = next[at] ?? count;
      return right < count ? table.rank(symbol[at] ?? -1, symbol[right] ?? -1) : -1;
    };
    const queue = new MinimumHeap();
    const offer = (at: number): void => {
      const rank = rankAt(at);
      if (rank >= 0) queue.push(rank * maxLength + at);
    };
    for (let at = 0; at < count - 1; at++) offer(at);
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      const at = key % maxLength;
      const rank = Math.floor(key / maxLength);
      // One of its symbols has been merged meanwhile.
      if (next[at] === gone || rankAt(at) !== rank) continue;
      const right = next[at] ?? count;
      const after = next[right] ?? count;
      symbol[at] = table.merged(rank);
      next[at] = after;
      next[right] = gone;
      if (after < count) previous[after] = at;
      const before = previous[at] ?? -1;
      if (before >= 0) offer(before);
      offer(at);
    }
    const pieces: string[] = [];
    for (let at = 0; at < count; at = next[at] ?? count) {
      pieces.push(symbols[symbol[at] ?? -1] ?? characters[at] ?? "");
    }
    return pieces;
  };
};

/** Longer than any string, and small enough to fit beside a rank into 53 bits. */
const maxLength = 2 ** 30;
const gone = -1;

/**
 * Maps pairs of symbols to their rank and merged symbol, by open addressing. A Map with keys this large would be slow
 * and take much memory.
 */
class PairTable {
  private readonly mask: number;
  private readonly lefts: Int32Array;
  private readonly rights: Int32Array;
  private readonly ranks: Int32Array;
  private readonly results: Int32Array;

  constructor(count: number) {
    const size = 2 ** Math.ceil(Math.log2(2 * count + 2));
    this.mask = size - 1;
    this.lefts = new Int32Array(size).fill(-1);
    this.rights = new Int32Array(size);
    this.ranks = new Int32Array(size);
    this.results = new Int32Array(count);
  }

  /** If a pair is set twice, its last rank counts, as in a Map. */
  set(left: number, right: number, rank: number, result: number): void {
    const slot = this.slotOf(left, right);
    this.lefts[slot] = left;
    this.rights[slot] = right;
    this.ranks[slot] = rank;
    this.results[rank] = result;
  }

  /** -1 if the pair does not merge. */
  rank(left: number, right: number): number {
    if (left < 0 || right < 0) return -1;
    const slot = this.slotOf(left, right);
    return this.lefts[slot] === -1 ? -1 : (this.ranks[slot] ?? -1);
  }

  merged(rank: number): number {
    return this.results[rank] ?? -1;
  }

  private slotOf(left: number, right: number): number {
    const { lefts, rights, mask } = this;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    let slot = hash & mask;
    while (lefts[slot] !== -1 && (lefts[slot] !== left || rights[slot] !== right)) slot = (slot + 1) & mask;
    return slot;
  }
}

/** A min-heap of numbers. */
class MinimumHeap {
  private keys = new Float64Array(64);
  private size = 0;

  push(key: number): void {
    if (this.size === this.keys.length) {
      const larger = new Float64Array(2 * this.size);
      larger.set(this.keys);
      this.keys = larger;
    }
    const { keys } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[parent] ?? 0;
      if (above <= key) break;
      keys[at] = above;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    if (this.size === 0) return undefined;
    const { keys } = this;
    const lowest = keys[0];
    const key = keys[--this.size] ?? 0;
    const { size } = this;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child += 1;
      const below = keys[child] ?? 0;
      if (key <= below) break;
      keys[at] = below;
      at = child;
    }
    keys[at] = key;
    return lowest;
  }
}
