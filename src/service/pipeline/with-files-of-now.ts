import { Effect } from "effect";

import { ModelChanged } from "../domain/errors.ts";

/**
 * Starts a task again if its model's files changed meanwhile, unless output was already sent.
 *
 * @param hasSent whether output was sent
 */
export const withFilesOfNow = <A, E, R>(
  task: Effect.Effect<A, E, R>,
  hasSent: () => boolean = () => false,
): Effect.Effect<A, E, R> =>
  Effect.retry(task, { times: 2, while: (error) => error instanceof ModelChanged && !hasSent() });
