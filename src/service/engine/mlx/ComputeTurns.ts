/**
 * Lets one engine process compute at a time. A GPU has no priorities between processes that share it, and on a Mac with
 * little memory the work that two processes have in flight can exhaust it. If others wait, an engine keeps the turn for
 * a while; it then finishes the commands on the device, reports that it has stopped, and the next engine continues.
 */

/** The commands to a process that takes turns. */
export interface TurnTaker {
  readonly start: () => void;
  /** It reports `stopped` once none of its commands is left on the device. */
  readonly stop: () => void;
}

/** A process's place among those that take turns. */
export interface TurnPlace {
  /** The process has something to compute. */
  readonly want: () => void;
  /** The process has nothing to compute. It keeps the turn until another process wants it. */
  readonly rest: () => void;
  /** The process has stopped, after it was told to. */
  readonly stopped: () => void;
  /** The process has ended. */
  readonly leave: () => void;
}

interface TurnOptions {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Calls back after this many milliseconds. */
  readonly after: (ms: number, call: () => void) => void;
}

interface Place {
  readonly taker: TurnTaker;
  wants: boolean;
}

export class ComputeTurns {
  private readonly options: TurnOptions;
  private holder: Place | undefined;
  private heldSince = 0;
  /** Whether the holder was told to stop and has not reported that it has stopped. */
  private isStopping = false;
  private isTimed = false;
  /** The processes that wait for the turn, in order. */
  private readonly waiting: Place[] = [];

  constructor(options: TurnOptions = { now: () => performance.now(), after: (ms, call) => void setTimeout(call, ms) }) {
    this.options = options;
  }

  join(taker: TurnTaker): TurnPlace {
    const place: Place = { taker, wants: false };
    return {
      want: () => {
        if (place.wants) return;
        place.wants = true;
        if (place !== this.holder) this.waiting.push(place);
        this.advance();
      },
      rest: () => {
        this.withdraw(place);
        this.advance();
      },
      stopped: () => {
        if (place !== this.holder || !this.isStopping) return;
        this.free();
        if (place.wants) this.waiting.push(place);
        this.advance();
      },
      leave: () => {
        this.withdraw(place);
        if (place === this.holder) this.free();
        this.advance();
      },
    };
  }

  private withdraw(place: Place): void {
    place.wants = false;
    const index = this.waiting.indexOf(place);
    if (index >= 0) this.waiting.splice(index, 1);
  }

  private free(): void {
    this.holder = undefined;
    this.isStopping = false;
  }

  private advance(): void {
    this.holder ??= this.next();
    const { holder } = this;
    if (holder === undefined || this.isStopping || this.waiting.length === 0) return;
    const leftMs = holder.wants ? this.heldSince + turnMs - this.options.now() : 0;
    if (leftMs <= 0) {
      this.isStopping = true;
      holder.taker.stop();
    } else if (!this.isTimed) {
      this.isTimed = true;
      this.options.after(leftMs, () => {
        this.isTimed = false;
        this.advance();
      });
    }
  }

  private next(): Place | undefined {
    const next = this.waiting.shift();
    if (next === undefined) return undefined;
    this.heldSince = this.options.now();
    next.taker.start();
    return next;
  }
}

/** Long enough that the cost of a change of turns does not matter, short enough for a person who reads the output. */
export const turnMs = 250;
