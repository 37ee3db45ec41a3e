import { Code, ConnectError } from "@connectrpc/connect";

/**
 * One HTTP request and its response. It ends at its deadline, by the caller's signal, or when the reader of the response leaves.
 * Each step is awaited through {@link Exchange.wait}, so that no runtime's `fetch` can delay that.
 */
export class Exchange {
  readonly #aborting = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  #end: ConnectError | undefined;
  #giveUp: (error: ConnectError) => void = () => {};
  #reader: { readonly cancel: () => Promise<void> } | undefined;

  /** @param timeoutMs none if it is undefined, 0 or less */
  constructor(caller: AbortSignal | undefined, timeoutMs: number | undefined) {
    this.#caller = caller;
    if (timeoutMs !== undefined && timeoutMs > 0) {
      const late = () => this.#leave(new ConnectError("the call's deadline passed", Code.DeadlineExceeded));
      this.#timer = setTimeout(late, timeoutMs);
    }
    caller?.addEventListener("abort", this.#onAbort);
    if (caller?.aborted) this.#onAbort();
  }

  /** The signal for `fetch`. */
  get signal(): AbortSignal {
    return this.#aborting.signal;
  }

  /** The result of one step; rejects with a {@link ConnectError} as soon as the exchange has ended. One step at a time. */
  async wait<T>(start: () => T | Promise<T>): Promise<T> {
    const over = this.#over();
    if (over) throw over;
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#giveUp = reject;
        Promise.resolve(start()).then(resolve, reject);
      });
    } catch (error) {
      throw this.#over() ?? ConnectError.from(error);
    }
  }

  /** Sets the reader of the response body, which is cancelled when the exchange ends early. */
  read<Reader extends { readonly cancel: () => Promise<void> }>(reader: Reader): Reader {
    this.#reader = reader;
    return reader;
  }

  /** The response was read to its end. */
  finish(): void {
    this.#forget();
    this.#end ??= new ConnectError("the call has ended", Code.Canceled);
  }

  /** Abandons the rest of the response. Has no effect once it has been read. */
  leave(): void {
    this.#leave(new ConnectError("the response was abandoned", Code.Canceled));
  }

  readonly #onAbort = (): void => this.#leave(ConnectError.from(this.#caller?.reason, Code.Canceled));

  #leave(error: ConnectError): void {
    if (this.#end) return;
    this.#end = error;
    this.#forget();
    this.#giveUp(error);
    if (this.#reader === undefined) return this.#aborting.abort(error);
    // Aborting suffices by the specification of fetch. But Deno (2.9) sometimes keeps the connection open if the body is being
    // read, and the server would continue to generate. So the reader is cancelled first.
    void this.#reader.cancel().catch(() => {});
    setTimeout(() => this.#aborting.abort(error), 0);
  }

  /** A method, because the compiler assumes that a field does not change during an `await`. */
  #over(): ConnectError | undefined {
    return this.#end;
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onAbort);
  }
}
