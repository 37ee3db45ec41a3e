/**
 * The events of one stream on their way from the fiber that produces them to the writer that sends them.
 *
 * It is plain JavaScript, and not a pipeline of Stream operators or Stream.toAsyncIterable, for two reasons. Every
 * token takes this path: a push is an array append and a take a resolved promise, with no fiber, timer or allocation of
 * Effect's own for each event. And Connect pulls with `next()` only: while a `next()` is pending it does not call
 * `return()`, so it must be possible to end the stream from outside at any time.
 */
export interface OutboxOptions {
  /** How long an event, or the end, may wait before the writer takes it. */
  readonly stallMs: number;
  /** The writer has taken nothing for `stallMs`. Called again after each further `stallMs`. */
  readonly onStall: () => void;
  /** The writer has taken everything, the end included. */
  readonly onDelivered?: () => void;
}

export interface Ending {
  /** What the reader's next() rejects with; absent if the stream is complete. */
  readonly error?: unknown;
}

/** How many events may wait before the producer has to pause. */
export const capacity = 256;

interface Taker<A> {
  readonly resolve: (result: IteratorResult<A, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

const done = { done: true, value: undefined } as const;

export class Outbox<A> {
  readonly #options: OutboxOptions;
  #waiting: A[] = [];
  /** Index of the first event in `#waiting` that was not taken. */
  #head = 0;
  #taker: Taker<A> | undefined;
  #ending: Ending | undefined;
  #delivered = false;
  #taken = 0;
  #onRoom: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the writer last took something, or, if it was waiting for events, when an event last arrived for it. */
  #since = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Adds events; false if the producer should wait for room before it adds more. */
  push(events: ReadonlyArray<A>): boolean {
    if (this.#ending !== undefined) return true; // nobody will take them, and the producer is being interrupted
    for (const event of events) {
      if (this.#taker === undefined) {
        if (this.#size === 0) this.#watch();
        this.#waiting.push(event);
      } else {
        this.#hand(this.#taker, event);
      }
    }
    return this.#size < capacity;
  }

  /**
   * Calls back once half of the waiting events are gone. One waiter at a time; returns a function that stops waiting.
   */
  whenRoom(callback: () => void): () => void {
    this.#onRoom = callback;
    this.#tellRoom();
    return () => (this.#onRoom = undefined);
  }

  /** Adds nothing more. Waiting events are still delivered, then the ending. */
  end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    if (this.#taker !== undefined) this.#finish(this.#taker, ending);
    else if (this.#size === 0) this.#watch();
  }

  /** Ends immediately: waiting events are dropped. */
  abandon(ending: Ending): void {
    if (this.#delivered) return;
    this.#drop();
    this.#ending = ending;
    if (this.#taker === undefined) this.#watch();
    else this.#finish(this.#taker, ending);
    this.#tellRoom();
  }

  /** Ends without delivering anything: the reader has gone. */
  close(): void {
    this.#drop();
    this.#ending ??= {};
    this.#delivered = true;
    this.#unwatch();
    if (this.#taker !== undefined) this.#finish(this.#taker, {});
    this.#tellRoom();
  }

  /** The next event; rejects once with the error that the stream ended with. */
  next(): Promise<IteratorResult<A, undefined>> {
    if (this.#size > 0) {
      const value = this.#waiting[this.#head] as A; // #size guarantees that the index is within bounds
      this.#head += 1;
      this.#taken += 1;
      this.#since = performance.now();
      if (this.#size === 0) this.#drop();
      this.#tellRoom();
      return Promise.resolve({ done: false, value });
    }
    return new Promise((resolve, reject) => {
      const taker = { resolve, reject };
      if (this.#ending === undefined) this.#taker = taker;
      else this.#finish(taker, this.#ending);
    });
  }

  /** How many events the writer has taken. */
  get taken(): number {
    return this.#taken;
  }

  get #size(): number {
    return this.#waiting.length - this.#head;
  }

  #drop(): void {
    this.#waiting = [];
    this.#head = 0;
  }

  #hand(taker: Taker<A>, value: A): void {
    this.#taker = undefined;
    this.#taken += 1;
    taker.resolve({ done: false, value });
  }

  #finish(taker: Taker<A>, ending: Ending): void {
    this.#taker = undefined;
    this.#unwatch();
    if (this.#delivered || ending.error === undefined) taker.resolve(done);
    else taker.reject(ending.error);
    if (!this.#delivered) this.#options.onDelivered?.();
    this.#delivered = true;
  }

  #tellRoom(): void {
    if (this.#onRoom === undefined || this.#size > capacity / 2) return;
    const callback = this.#onRoom;
    this.#onRoom = undefined;
    this.#compact();
    callback();
  }

  /** The array is not emptied while its reader lags behind, so drop the taken events before the producer adds more. */
  #compact(): void {
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }

  /** One timer per stream, not per event: when it fires it checks whether the writer has taken something meanwhile. */
  #watch(): void {
    this.#since = performance.now();
    this.#timer ??= this.#arm(this.#options.stallMs);
  }

  #arm(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined;
      if (this.#size === 0 && (this.#ending === undefined || this.#delivered)) return; // the next event to wait starts it again
      const leftMs = this.#options.stallMs - (performance.now() - this.#since);
      if (leftMs > 0) {
        this.#timer = this.#arm(leftMs);
      } else {
        this.#watch();
        this.#options.onStall();
      }
    }, delayMs);
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
