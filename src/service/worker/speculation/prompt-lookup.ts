/**
 * Prompt lookup: drafts from the sequence's own tokens, prompt included. If its last tokens occurred before, what
 * followed them then may follow again. Saxena 2023, "Prompt Lookup Decoding".
 *
 * An index of n-grams grows with the sequence, so a token costs the same at any length. It also measures its own
 * accuracy without drafting: each token is compared with the one that it would have drafted.
 */

export class PromptLookup {
  private readonly tokens: number[] = [];
  /** By an n-gram's hash: the index after its latest occurrence. Hashes may collide. */
  private readonly latest = new Map<number, number>();
  /** For each index after an n-gram, the index after its previous occurrence. */
  private readonly earlier: number[] = [];
  /** Index of the token that is expected next, based on the longest match of the last tokens; 0 if there is none. */
  private expected = 0;

  get length(): number {
    return this.tokens.length;
  }

  /** Whether the last tokens occurred before. */
  get hasMatch(): boolean {
    return this.expected > 0;
  }

  /** Adds a token. Returns whether it was the expected one; undefined if none was expected. */
  push(token: number): boolean | undefined {
    const foretold = this.expected > 0 ? this.tokens[this.expected] === token : undefined;
    this.tokens.push(token);
    const end = this.tokens.length;
    const hash = this.hashAt(end);
    const before = end < gramTokens ? undefined : this.latest.get(hash);
    this.earlier[end] = before ?? 0;
    if (end >= gramTokens) this.latest.set(hash, end);
    // A match that continues is longer than any that would begin here.
    this.expected = foretold === true ? this.expected + 1 : this.longestMatch(before ?? 0);
    return foretold;
  }

  /** The tokens that followed the match. If they run into the end of the sequence, the draft continues with itself. */
  draft(count: number): number[] {
    const { expected, tokens } = this;
    if (expected === 0) return [];
    const drafted: number[] = [];
    while (drafted.length < count) {
      const index = expected + drafted.length;
      const token = index < tokens.length ? tokens[index] : drafted[index - tokens.length];
      if (token === undefined) break;
      drafted.push(token);
    }
    return drafted;
  }

  /** Among the latest occurrences of the last n-gram, the one with the longest match before it; the latest of these. */
  private longestMatch(latest: number): number {
    const end = this.tokens.length;
    let best = 0;
    let longest = gramTokens - 1;
    let candidate = latest;
    for (let i = 0; i < maxCandidates && candidate > 0; i++) {
      const common = this.commonBefore(candidate, end);
      if (common > longest) [best, longest] = [candidate, common];
      candidate = this.earlier[candidate] ?? 0;
    }
    return best;
  }

  private commonBefore(a: number, b: number): number {
    let common = 0;
    while (common < maxCompared && common < a && this.tokens[a - 1 - common] === this.tokens[b - 1 - common]) common++;
    return common;
  }

  private hashAt(end: number): number {
    let hash = 0;
    for (let i = Math.max(0, end - gramTokens); i < end; i++)
      hash = Math.imul(hash ^ (this.tokens[i] ?? 0), 0x9e3779b1);
    return hash;
  }
}

/** Fewer tokens would match by chance too often. */
const gramTokens = 3;

/** How many occurrences are compared, and how far back. */
const maxCandidates = 4;
const maxCompared = 32;
