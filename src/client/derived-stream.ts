import { decodeError } from "./decode-error.ts";

/**
 * A stream that consists of one or more calls. As with the stream of a single call, leaving it by `break`, `return` or an
 * error, `cancel()` and `await using` immediately end the calls that are running.
 *
 * It begins when the first event is requested, and has one reader: a second loop continues where the first one is.
 */
export class DerivedStream<Event, Result> implements AsyncIterableIterator<Event, undefined>, AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #events: AsyncGenerator<Event, Result, undefined>;
  readonly #signal: AbortSignal | undefined;
  #outcome: Outcome<Result> | undefined;
  /** The reader has left by `return()` and gets no error. */
  #left = false;

  /**
   * For this package only: streams come from a client.
   *
   * @param events yields the events, and ends with an error soon after its signal is aborted
   * @param signal of the caller
   */
  constructor(events: (signal: AbortSignal) => AsyncGenerator<Event, Result, undefined>, signal?: AbortSignal) {
    this.#events = events(this.#controller.signal);
    this.#signal = signal;
  }

  /** The stream itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next event; rejects with an MlxdError if the stream has failed or was cancelled. */
  async next(): Promise<IteratorResult<Event, undefined>> {
    this.#listen();
    if (!this.#isEnded()) {
      try {
        const { done, value } = await this.#events.next();
        if (done) this.#end({ result: value });
        else if (!this.#isEnded()) return { done: false, value };
      } catch (error) {
        this.#end({ error: error as Error }); // whatever was thrown
      }
    }
    if (this.#outcome?.error && !this.#left) throw this.#outcome.error;
    return { done: true, value: undefined };
  }

  /** Leaves the stream and ends its running calls; a `for await` loop calls this when it is left. */
  async return(): Promise<IteratorResult<Event, undefined>> {
    this.#left = true;
    this.cancel();
    return { done: true, value: undefined };
  }

  /** Leaves the stream like `return()`, then rejects with this error. */
  async throw(error?: unknown): Promise<IteratorResult<Event, undefined>> {
    await this.return();
    throw error;
  }

  /** Ends the running calls; a reader who requests an event gets an error with the reason `CANCELLED`. */
  cancel(reason?: unknown): void {
    if (this.#isEnded()) return;
    const error = decodeError(undefined, { cancelled: { reason } });
    this.#end({ error });
    this.#controller.abort(error);
    // Releases what the generator holds, even if nobody requests another event.
    this.#events.return(undefined as Result).catch(() => {});
  }

  /** Reads the rest and returns the whole result; rejects if the stream has failed or was left before its end. */
  async collect(): Promise<Result> {
    while (!(await this.next()).done);
    const { error, result } = this.#outcome ?? {};
    if (error) throw error;
    return result as Result; // there is one where there is no error
  }

  /** Leaves the stream at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #listen(): void {
    if (this.#isEnded()) return;
    this.#signal?.addEventListener("abort", this.#onAbort); // the same listener is added once
    if (this.#signal?.aborted) this.#onAbort();
  }

  readonly #onAbort = (): void => this.cancel(this.#signal?.reason);

  #end(outcome: Outcome<Result>): void {
    this.#outcome ??= outcome;
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  /** A method, because the compiler assumes that a field does not change during an `await`. */
  #isEnded(): boolean {
    return this.#outcome !== undefined;
  }
}

type Outcome<Result> =
  | { readonly result: Result; readonly error?: undefined }
  | { readonly error: Error; readonly result?: undefined };
