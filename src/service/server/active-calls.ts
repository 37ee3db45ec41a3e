/** Counts the calls that a shutdown waits for. */
export class ActiveCalls {
  #count = 0;
  #waiting: Array<() => void> = [];

  get count(): number {
    return this.#count;
  }

  /** Returns a function that ends the call; further calls of it do nothing. */
  begin(): () => void {
    let ended = false;
    this.#count += 1;
    return () => {
      if (ended) return;
      ended = true;
      this.#count -= 1;
      if (this.#count === 0) for (const resolve of this.#waiting.splice(0)) resolve();
    };
  }

  /** Resolves once no call runs. */
  idle(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
