/** Trying again what the hub or the way to it failed at. */
import { Effect, Random, Result } from "effect";

import { HubError } from "./hub-error.ts";

export interface RetryOptions {
  /** In a row and without a byte between them. */
  readonly maxAttempts: number;
  /** Before the second attempt; doubled before each next one, up to a limit. */
  readonly backoffMs: number;
}

const maxBackoffMs = 30_000;
/** A hub that asks for a longer wait is not waited for: the caller is told how long. */
const maxRetryAfterMs = 300_000;

/**
 * Only a HubError that is transient is tried again.
 *
 * @param hasProgressed whether bytes came since it was asked last: attempts are then counted anew
 */
export const withRetries = Effect.fnUntraced(function* <A, E>(
  attempt: Effect.Effect<A, E>,
  { maxAttempts, backoffMs }: RetryOptions,
  hasProgressed: () => boolean = () => false,
) {
  let attempts = 0;
  for (;;) {
    const result = yield* Effect.result(attempt);
    if (Result.isSuccess(result)) return result.success;
    const error = result.failure;
    if (!(error instanceof HubError) || !error.isTransient) return yield* Effect.fail(error);
    attempts = hasProgressed() ? 1 : attempts + 1;
    const waitMs = error.retryAfterMs ?? Math.min(backoffMs * 2 ** (attempts - 1), maxBackoffMs);
    if (attempts >= maxAttempts || waitMs > maxRetryAfterMs) return yield* Effect.fail(error);
    // Only ever longer: the hub chose the moment from which on it answers.
    yield* Effect.sleep(waitMs * (1 + 0.2 * (yield* Random.next)));
  }
});
