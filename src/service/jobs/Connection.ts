/** The connection to the store: opened when it is first needed, and opened again when it was lost. */
import type { OpenStore } from "./store/open-store.ts";
import { inOnePhrase, isBug, isExpected } from "./store-failure.ts";

export interface StoreCondition {
  readonly isWell: boolean;
  /** Why it is not. */
  readonly reason: string;
}

export interface ConnectionOptions {
  readonly open: () => Promise<OpenStore>;
  /** The store could not be opened, or was lost. */
  readonly onLost: (failure: unknown) => void;
  /** A store could not be closed properly. */
  readonly onError: (error: unknown) => void;
  /** A clock, in milliseconds. */
  readonly now: () => number;
  /** Completes when what still runs as the service ends has had its time. */
  readonly patience: () => Promise<unknown>;
}

/** The shortest retry delay for callers. */
const leastRetryMs = 2_000;
/** The pause before a store is opened again. It doubles with each failed attempt. */
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** A store that is lost sooner than this counts as a failed attempt. */
const steadyMs = 60_000;

export class Connection {
  condition: StoreCondition | undefined;
  private readonly options: ConnectionOptions;
  private opening: Promise<OpenStore> | undefined;
  /** Done when a lost store is closed: until then its directory is locked. */
  private closing: Promise<unknown> = Promise.resolve();
  private isClosed = false;
  /** Calls that use the store now. */
  private readonly working = new Set<Promise<unknown>>();
  /** Opening a store takes seconds of CPU time, so until this time calls fail with the last failure. */
  private resting: { readonly until: number; readonly failure: unknown } | undefined;
  private failures = 0;
  private openedAt: number | undefined;

  constructor(options: ConnectionOptions) {
    this.options = options;
  }

  /** How long a caller whose work failed should wait. */
  get retryAfterMs(): number {
    return Math.max(leastRetryMs, Math.ceil((this.resting?.until ?? 0) - this.options.now()));
  }

  async use<A>(work: (open: OpenStore) => Promise<A>): Promise<A> {
    if (this.isClosed) throw new Error("it is closed, as the service ends");
    if (this.resting !== undefined && this.options.now() < this.resting.until) throw this.resting.failure;
    this.opening ??= this.open();
    const { opening } = this;
    const working = this.workWith(opening, work);
    this.working.add(working);
    try {
      return await working;
    } finally {
      this.working.delete(working);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    // What is being written is written to its end. It may find the store lost: then it begins to close it.
    await Promise.race([Promise.allSettled(this.working), this.options.patience()]);
    const { opening } = this;
    this.opening = undefined;
    const open = await opening?.catch(() => undefined);
    await open?.close().catch(this.options.onError);
    await this.closing;
  }

  private async workWith<A>(opening: Promise<OpenStore>, work: (open: OpenStore) => Promise<A>): Promise<A> {
    try {
      const done = await work(await opening);
      this.condition = { isWell: true, reason: "" };
      return done;
    } catch (error) {
      if (isExpected(error)) throw error;
      // A bug says nothing about a store that is open.
      if (!isBug(error) || !(await isFulfilled(opening)))
        this.condition = { isWell: false, reason: inOnePhrase(error) };
      await this.forgetLost(opening, error);
      throw error;
    }
  }

  private async open(): Promise<OpenStore> {
    // What was wrong with it is said until that has ended.
    if (this.condition?.isWell !== false) this.condition = { isWell: false, reason: "it is being opened" };
    await this.closing;
    const open = await this.options.open();
    this.openedAt = this.options.now();
    return open;
  }

  private async forgetLost(opening: Promise<OpenStore>, failure: unknown): Promise<void> {
    const open = await opening.catch(() => undefined);
    if (this.opening !== opening || (open !== undefined && !open.database.isLost())) return;
    this.opening = undefined;
    this.options.onLost(failure);
    const now = this.options.now();
    const wasSteady = this.openedAt !== undefined && now - this.openedAt >= steadyMs;
    this.failures = wasSteady ? 1 : this.failures + 1;
    this.openedAt = undefined;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.failures - 1, 10));
    this.resting = { until: now + pauseMs, failure };
    this.closing = open?.close().catch(this.options.onError) ?? this.closing;
  }
}

const isFulfilled = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => true,
    () => false,
  );
