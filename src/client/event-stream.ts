import type { CallOptions as ConnectCallOptions } from "@connectrpc/connect";
import type { Call } from "./call.ts";
import { decodeError } from "./decode-error.ts";
import type { GenerationProgress, MlxdError } from "./errors.ts";

/** Reads the messages of one stream, in order: checks and converts them. */
export interface StreamReader<Message, Event> {
  /** The event of this message, or undefined if this client does not know its kind. Throws if the order violates the API. */
  readonly accept: (message: Message) => Event | undefined;
  /** The stream ended without an error: throws if it must not end here. */
  readonly end: () => void;
  /** The progress of the generation. */
  readonly progress?: (() => GenerationProgress | undefined) | undefined;
}

/** The source of a stream. */
export interface StreamSource<Message> {
  /** Begins the call, and the time of its deadline. */
  readonly begin: () => Call;
  /** Opens the stream: one attempt. */
  readonly open: (options: ConnectCallOptions) => AsyncIterable<Message>;
}

/**
 * A stream of events that its reader may leave at any time: leaving a `for await` loop by `break`, `return` or an
 * error, `cancel()` and `await using` immediately end the call on the server.
 *
 * The call is made when the first event is requested, and each event is read when it is requested. A stream has one
 * reader: a second loop continues where the first one is.
 */
export class EventStream<Message, Event> implements AsyncIterableIterator<Event, undefined>, AsyncDisposable {
  readonly #source: StreamSource<Message>;
  readonly #reader: StreamReader<Message, Event>;
  #opened: Opened<Message> | undefined;
  #ended: { readonly error?: MlxdError } | undefined;
  /** The reader has left by `return()` and gets no error. */
  #left = false;
  /** Settles when the event that was requested last has been delivered. */
  #last: Promise<unknown> = Promise.resolve();
  /** How many events are requested and have not been delivered. */
  #requested = 0;

  /** For this package only: streams come from a client. */
  constructor(source: StreamSource<Message>, reader: StreamReader<Message, Event>) {
    this.#source = source;
    this.#reader = reader;
  }

  /** The stream itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next event; rejects with an MlxdError if the stream has failed or was cancelled. */
  next(): Promise<IteratorResult<Event, undefined>> {
    this.#requested += 1;
    const result = this.#requested === 1 ? this.#next() : this.#last.then(() => this.#next());
    this.#last = result.then(this.#onDelivered, this.#onDelivered);
    return result;
  }

  readonly #onDelivered = (): void => {
    this.#requested -= 1;
  };

  /** Leaves the stream and ends the call on the server; a `for await` loop calls this when it is left. */
  return(): Promise<IteratorResult<Event, undefined>> {
    this.#left = true;
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Leaves the stream like `return()`, then rejects with this error. */
  async throw(error?: unknown): Promise<IteratorResult<Event, undefined>> {
    await this.return();
    throw error;
  }

  /** Ends the call on the server; a reader who requests an event gets an error with the reason `CANCELLED`. */
  cancel(reason?: unknown): void {
    if (this.#ended) return;
    this.#end(decodeError(undefined, { cancelled: { reason }, progress: this.#reader.progress?.() }));
  }

  /** Leaves the stream at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Reads the rest; rejects if the stream has failed or was left before its end. */
  protected async drain(): Promise<void> {
    while (!(await this.next()).done);
    if (this.#ended?.error) throw this.#ended.error;
  }

  async #next(): Promise<IteratorResult<Event, undefined>> {
    while (!this.#ended) {
      try {
        const result = await this.#pull();
        if (this.#isEnded()) break;
        if (result.done) {
          this.#reader.end();
          this.#end();
          break;
        }
        const event = this.#reader.accept(result.value);
        if (event !== undefined) return { done: false, value: event };
      } catch (error) {
        if (!this.#isEnded()) this.#end(this.#decode(error));
      }
    }
    const { error } = this.#ended ?? {};
    if (error && !this.#left) throw error;
    return { done: true, value: undefined };
  }

  /** Not async, which would delay each message by further turns of the microtask queue. */
  #pull(): Promise<IteratorResult<Message>> {
    if (this.#opened?.messages) return this.#opened.messages.next();
    const opened: Opened<Message> = (this.#opened = { call: this.#source.begin() });
    forgotten.register(this, opened, this);
    return opened.call.attempt(async (options) => {
      const messages = this.#source.open(options)[Symbol.asyncIterator]();
      const first = await messages.next();
      opened.messages = messages;
      return first;
    });
  }

  #end(error?: MlxdError): void {
    this.#ended = error ? { error } : {};
    forgotten.unregister(this);
    if (this.#opened) leave(this.#opened);
  }

  #decode(error: unknown): MlxdError {
    return this.#opened?.call.decode(error, this.#reader.progress?.()) ?? decodeError(error);
  }

  /** A method, because the compiler assumes that a field does not change during an `await`. */
  #isEnded(): boolean {
    return this.#ended !== undefined;
  }
}

/** A running call, and its messages after the first one. */
interface Opened<Message> {
  readonly call: Call;
  messages?: AsyncIterator<Message>;
}

const leave = ({ call, messages }: Opened<unknown>): void => {
  call.cancel();
  call.end();
  // Connect clears the timer of the call's deadline when its iterator is asked for another message.
  messages?.next().catch(() => {});
};

/** Leaves streams that were partly read and then dropped, when they are garbage collected. */
const forgotten = new FinalizationRegistry<Opened<unknown>>(leave);
