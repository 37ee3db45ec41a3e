/** Retries failed requests to the hub. */
import { Effect, Random, Result } from "effect";

import { HubError } from "./hub-error.ts";

export interface RetryOptions {
  /** Consecutive attempts without receiving a byte. */
  readonly maxAttempts: number;
  /** Delay before the second attempt; doubles before each further one, up to a limit. */
  readonly backoffMs: number;
}

const maxBackoffMs = 30_000;
/** If the hub asks for a longer wait, the request fails and the caller is told how long to wait. */
const maxRetryAfterMs = 300_000;

/**
 * Retries only transient HubErrors.
 *
 * @param hasProgressed whether bytes were received since the last attempt, in which case attempts are counted from zero
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
    // The random part only adds to the wait: the hub asked to wait at least this long.
    yield* Effect.sleep(waitMs * (1 + 0.2 * (yield* Random.next)));
  }
});
