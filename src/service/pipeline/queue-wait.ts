/** `max_queue_wait`: how long a call may wait in all, from its start until its engine admits it. */
import { Effect } from "effect";

import { QueueTimeout } from "../domain/errors.ts";

/** How far a call has come. */
export interface Wait {
  /** What it waits for. */
  for: QueueTimeout["waitedFor"];
  /** Whether the engine has admitted it, which ends the wait. */
  over: boolean;
}

/** Fails with QueueTimeout if the wait is not over in time. The call is interrupted and gives back what it holds. */
export const withinQueueWait = <A, E, R>(
  maxWaitMs: number | undefined,
  wait: Wait,
  call: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | QueueTimeout, R> => {
  if (maxWaitMs === undefined) return call;
  const late = Effect.andThen(
    Effect.sleep(maxWaitMs),
    Effect.suspend(() =>
      wait.over
        ? Effect.never
        : Effect.fail(new QueueTimeout({ waitedMs: maxWaitMs, waitedFor: wait.for, retryAfterMs })),
    ),
  );
  return Effect.raceFirst(call, late);
};

/** The retry delay of a refused call: about the duration of one generation. */
const retryAfterMs = 1_000;
