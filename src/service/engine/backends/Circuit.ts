/**
 * Whether a host is asked at all. After failures in a row the circuit opens: the host is left alone for a while, and then
 * one request tries it.
 */

/** `unknown`: its caller left before the host had answered. */
export type Verdict = "answered" | "unavailable" | "unknown";

/** One request to the host. */
export interface Attempt {
  /** Output has come. A request that tries the host closes the circuit with that, however long its answer is. */
  readonly delivered: () => void;
  /** Without effect after the first time. */
  readonly end: (verdict: Verdict) => void;
}

interface Open {
  /** Milliseconds of `now`. */
  readonly tryAt: number;
  isTried: boolean;
  /** Whether a probe has found the host there. A request still has to show that it answers. */
  isReached: boolean;
}

export class Circuit {
  private readonly now: () => number;
  private readonly onChange: () => void;
  /** In a row. */
  private failures = 0;
  /** In a row, without an answer between them. */
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

  /** How long a request is to wait before it comes again; undefined where it may begin. */
  get refusalMs(): number | undefined {
    const { open } = this;
    if (open === undefined) return undefined;
    const leftMs = open.tryAt - this.now();
    if (leftMs > 0) return Math.ceil(leftMs);
    return open.isTried ? whileTriedMs : undefined;
  }

  /** Only where nothing refuses it. */
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

  /** A probe of the open circuit has found the host there: requests may try it. */
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
      // What fails beside a trial was begun before the circuit opened, and says nothing new.
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
/** What a caller is told to wait while another one's request tries the host. */
const whileTriedMs = 1_000;
