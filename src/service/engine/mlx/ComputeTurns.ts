/**
 * Lets one engine process compute at a time. A GPU that two processes share has no priorities, and on a Mac with little
 * memory what both have under way at once is what it runs out of. An engine with work has the turn for a while, if others
 * wait; it then finishes the commands that the device has, says so, and the next one goes on.
 */

/** A process, as it is told what to do. */
export interface TurnTaker {
  readonly start: () => void;
  /** It answers with `stopped` once the device has nothing of it left. */
  readonly stop: () => void;
}

/** A process's place among the others. */
export interface TurnPlace {
  /** There is something to compute. */
  readonly want: () => void;
  /** There is not. The turn stays here until another wants it. */
  readonly rest: () => void;
  /** It has stopped, as it was told to. */
  readonly stopped: () => void;
  /** The process is gone. */
  readonly leave: () => void;
}

interface TurnOptions {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Calls back after so many milliseconds. */
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
  /** The holder was told to stop, and has not said that it has. */
  private isStopping = false;
  private isTimed = false;
  /** Those that want the turn and do not have it, in their order. */
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

/** Many steps, so that what a change costs does not count; short enough for somebody who reads along. */
export const turnMs = 250;
