/** `max_queue_wait`: how long a call may wait before its engine begins with it, wherever it waits. */
import { Effect } from "effect";

import { QueueTimeout } from "../domain/errors.ts";

/** How far a call has come. */
export interface Wait {
  /** What it waits for. */
  for: QueueTimeout["waitedFor"];
  /** The engine has begun with it: what follows is no waiting. */
  over: boolean;
}

/** Ends the call with QueueTimeout where it is not over in time. What it has taken by then, it gives back. */
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

/** What a refused caller is told to wait: about a generation's time. */
const retryAfterMs = 1_000;
