import { Effect } from "effect";

import { ModelChanged } from "../domain/errors.ts";

/**
 * Where a model's files changed under a task, it begins anew with what is there by now; unless something of it went out.
 *
 * @param hasSent whether something did
 */
export const withFilesOfNow = <A, E, R>(
  task: Effect.Effect<A, E, R>,
  hasSent: () => boolean = () => false,
): Effect.Effect<A, E, R> =>
  Effect.retry(task, { times: 2, while: (error) => error instanceof ModelChanged && !hasSent() });
