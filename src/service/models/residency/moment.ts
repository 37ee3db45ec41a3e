/** A moment by both clocks: a date is shown to people, durations and orders follow the clock that nobody sets. */
import type { Clock } from "effect";

import { elapsedMsUnsafe } from "../../domain/elapsed.ts";

export interface Moment {
  /** Epoch milliseconds. */
  readonly date: number;
  /** Milliseconds of domain/elapsed.ts. */
  readonly elapsed: number;
}

export const momentOf = (clock: Clock.Clock): Moment => ({
  date: clock.currentTimeMillisUnsafe(),
  elapsed: elapsedMsUnsafe(clock),
});
