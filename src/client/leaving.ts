/**
 * Leaves a response in two steps: what reads its body is cancelled, and then the request is aborted. To abort is enough
 * by the specification of fetch; Deno (2.9) sometimes keeps the connection open all the same, and the server goes on
 * generating for nobody.
 */
export class Leaving {
  readonly #aborting = new AbortController();
  #cancelReader: (() => Promise<void>) | undefined;

  /** @param signal of whoever made the call */
  constructor(signal: AbortSignal | null | undefined) {
    const leave = (): void => {
      void this.#cancelReader?.().catch(() => {});
      setTimeout(() => this.#aborting.abort(signal?.reason), 0);
    };
    if (signal?.aborted === true) this.#aborting.abort(signal.reason);
    else signal?.addEventListener("abort", leave, { once: true });
  }

  /** For fetch. */
  get signal(): AbortSignal {
    return this.#aborting.signal;
  }

  /** From here on this reads the body. */
  readonly read = (cancelReader: () => Promise<void>): void => {
    this.#cancelReader = cancelReader;
  };
}
