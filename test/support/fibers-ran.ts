/** Lets other fibers run until none has anything to do at this moment of the TestClock. */
import { Effect } from "effect";

export const fibersRan: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 30 });
