/** Monotonic time, for durations and orders of arrival. Use `currentTimeMillis` for dates. */
import { Clock, Effect } from "effect";

/** Whole milliseconds since an arbitrary start of the clock. */
export const elapsedMsUnsafe = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n);

export const elapsedMs: Effect.Effect<number> = Effect.map(Clock.Clock, elapsedMsUnsafe);
