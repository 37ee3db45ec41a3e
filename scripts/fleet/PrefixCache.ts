/** What one host keeps of prompts: instructions and conversations, the least recently used go first. */
export class PrefixCache {
  /** Tokens of each entry, in the order of use. */
  readonly #entries = new Map<string, number>();
  readonly #capacity: number;
  #tokens = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Tokens of the entry, and notes its use; 0 where it is not there. */
  find(key: string): number {
    const tokens = this.#entries.get(key);
    if (tokens === undefined) return 0;
    this.#entries.delete(key);
    this.#entries.set(key, tokens);
    return tokens;
  }

  keep(key: string, tokens: number): void {
    this.#tokens += tokens - (this.#entries.get(key) ?? 0);
    this.#entries.delete(key);
    this.#entries.set(key, tokens);
    for (const [oldest, size] of this.#entries) {
      if (this.#tokens <= this.#capacity || oldest === key) break;
      this.#entries.delete(oldest);
      this.#tokens -= size;
    }
  }
}
