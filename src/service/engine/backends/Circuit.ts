/**
 * A circuit breaker for one host. After several failures in a row the circuit opens: no request is sent for a while,
 * and then a single one tries the host.
 */

/** `unknown`: its caller left before the host had answered. */
export type Verdict = "answered" | "unavailable" | "unknown";

/** One request to the host. */
export interface Attempt {
  /**
   * Output has arrived. This closes the circuit if the request was trying the host, however long the rest of its answer
   * takes.
   */
  readonly delivered: () => void;
  /** Only the first call has an effect. */
  readonly end: (verdict: Verdict) => void;
}

interface Open {
  /** On the clock of `now`, in milliseconds. */
  readonly tryAt: number;
  isTried: boolean;
  /** Whether a probe has reached the host. A request still has to show that it answers tasks. */
  isReached: boolean;
}

export class Circuit {
  private readonly now: () => number;
  private readonly onChange: () => void;
  /** Consecutive ones. */
  private failures = 0;
  /** Consecutive ones, without an answer in between. */
  private openings = 0;
  private open: Open | undefined;

  /** @param onChange called when it opens or closes, and when a trial ends undecided */
  constructor(now: () => number, onChange: () => void) {
    this.now = now;
    this.onChange = onChange;
  }

  get isOpen(): boolean {
    return this.open !== undefined;
  }

  /** Whether the next request may reach the host, as far as is known. */
  get isServing(): boolean {
    return this.open === undefined || this.open.isReached;
  }

  /** Whether a request is trying the host. How that ends is a change. */
  get isTried(): boolean {
    return this.open?.isTried === true;
  }

  /** How long a request has to wait before it is repeated; undefined if it may begin. */
  get refusalMs(): number | undefined {
    const { open } = this;
    if (open === undefined) return undefined;
    const leftMs = open.tryAt - this.now();
    if (leftMs > 0) return Math.ceil(leftMs);
    return open.isTried ? whileTriedMs : undefined;
  }

  /** Begins a request. Only allowed while `refusalMs` is undefined. */
  begin(): Attempt {
    const trial = this.open;
    if (trial !== undefined) trial.isTried = true;
    let isOver = false;
    return {
      delivered: () => {
        if (trial !== undefined && trial === this.open) this.close();
      },
      end: (verdict) => {
        if (isOver) return;
        isOver = true;
        this.judge(verdict, trial);
      },
    };
  }

  /** A probe has reached the host while the circuit is open: a request may try it now. */
  reached(): void {
    if (this.open === undefined) return;
    this.open = { tryAt: this.now(), isTried: false, isReached: true };
    this.onChange();
  }

  private judge(verdict: Verdict, trial: Open | undefined): void {
    const { open } = this;
    if (verdict === "answered") {
      this.failures = 0;
      if (open !== undefined) this.close();
    } else if (verdict === "unavailable") {
      this.failures += 1;
      const isTrial = trial !== undefined && trial === open;
      // A request that fails during a trial was begun before the circuit opened, and reveals nothing new.
      if (isTrial || (open === undefined && this.failures >= failuresToOpen)) this.reopen();
    } else if (trial !== undefined && trial === open) {
      trial.isTried = false;
      this.onChange();
    }
  }

  private reopen(): void {
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** this.openings);
    this.openings += 1;
    this.open = { tryAt: this.now() + pauseMs, isTried: false, isReached: false };
    this.onChange();
  }

  private close(): void {
    this.failures = this.openings = 0;
    this.open = undefined;
    this.onChange();
  }
}

const failuresToOpen = 5;
const firstPauseMs = 5_000;
const longestPauseMs = 60_000;
/** The retry delay for callers while another request tries the host. */
const whileTriedMs = 1_000;
