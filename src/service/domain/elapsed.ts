/** Time that goes by, which nobody sets: for how long something took and who came first. Dates are `currentTimeMillis`. */
import { Clock, Effect } from "effect";

/** Whole milliseconds since a beginning of the clock's own. */
export const elapsedMsUnsafe = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n);

export const elapsedMs: Effect.Effect<number> = Effect.map(Clock.Clock, elapsedMsUnsafe);
