import { ConnectError } from "@connectrpc/connect";
import { checkObject, show } from "./check.ts";
import { assertNoOthers, invalidField, type MlxdError } from "./errors.ts";

/**
 * When and how often a failed call is retried.
 *
 * Only a call that is safe to repeat is retried: it failed with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a retry delay, and
 * nothing of its response had arrived. A stream is never retried after its first event.
 */
export interface RetryPolicy {
  /**
   * Maximum number of attempts, including the first one; 1 means no retries.
   * @default 3
   */
  readonly maxAttempts: number;
  /**
   * The wait before the second attempt, in milliseconds.
   * @default 200
   */
  readonly initialBackoffMs: number;
  /**
   * The longest wait that the client chooses itself, in milliseconds.
   * @default 2000
   */
  readonly maxBackoffMs: number;
  /**
   * Factor from each wait to the next one.
   * @default 2
   */
  readonly backoffMultiplier: number;
  /**
   * The longest wait that the service may ask for, in milliseconds. If it asks for more, the call fails without a retry, and
   * the error has its `retryAfterMs`.
   * @default 30000
   */
  readonly maxRetryAfterMs: number;
}

/** The policy of a client that does not set one. */
export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 3,
  initialBackoffMs: 200,
  maxBackoffMs: 2_000,
  backoffMultiplier: 2,
  maxRetryAfterMs: 30_000,
};

/** The default policy with these changes; false means one attempt. */
export const createRetryPolicy = (changes: Partial<RetryPolicy> | false = {}): RetryPolicy => {
  const given = changes === false ? { maxAttempts: 1 } : checkObject(changes, "retry");
  const policy = { ...defaultRetryPolicy, ...present(given) };
  const { maxAttempts, initialBackoffMs, maxBackoffMs, backoffMultiplier, maxRetryAfterMs, ...others } = policy;
  assertNoOthers(others, "retry.");
  for (const [name, value] of Object.entries(policy)) {
    if (!(typeof value === "number" && value >= 0)) {
      throw invalidField(`retry.${name}`, `${show(value)} is not a number from 0 on`);
    }
  }
  return { maxAttempts, initialBackoffMs, maxBackoffMs, backoffMultiplier, maxRetryAfterMs };
};

/** Undefined members keep the default. */
const present = (given: object): Partial<RetryPolicy> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));

/** The random part of a wait, so that many clients do not return at the same time. */
const jitter = 0.2;

/**
 * How long to wait before the next attempt, in milliseconds; undefined if there must be none.
 *
 * @param attempts number of attempts so far
 * @param random a random number from 0 to 1, without 1
 */
export const retryDelayMs = (
  error: MlxdError,
  attempts: number,
  policy: RetryPolicy,
  random: number,
): number | undefined => {
  if (attempts >= policy.maxAttempts || !isRetryable(error)) return undefined;
  const pushbackMs = readPushbackMs(error);
  // Without jitter: the server chose the moment, or forbids a retry.
  if (pushbackMs !== undefined) return pushbackMs >= 0 && pushbackMs <= policy.maxRetryAfterMs ? pushbackMs : undefined;
  if (error.retryAfterMs !== undefined) {
    return error.retryAfterMs <= policy.maxRetryAfterMs ? error.retryAfterMs * (1 + jitter * random) : undefined;
  }
  const backoffMs = policy.initialBackoffMs * policy.backoffMultiplier ** (attempts - 1);
  return Math.min(backoffMs, policy.maxBackoffMs) * (1 - jitter + 2 * jitter * random);
};

/** Whether the same call may succeed later. */
const isRetryable = ({ code, retryAfterMs }: MlxdError): boolean =>
  code === "UNAVAILABLE" || (code === "RESOURCE_EXHAUSTED" && retryAfterMs !== undefined);

/**
 * Prevents a client from adding to the load of a service that is failing: after some failures without enough successes
 * between them it stops retrying. As in gRPC (gRFC A6) there are 10 tokens; a retryable failure costs one, a success returns a
 * tenth, and calls are retried while more than half are left.
 */
export class RetryBudget {
  #tokens = 10;

  /** Whether a call may be retried now. */
  get allows(): boolean {
    return this.#tokens > 5;
  }

  /** Counts an attempt that succeeded. */
  succeeded(): void {
    this.#tokens = Math.min(10, this.#tokens + 0.1);
  }

  /** Counts an attempt that failed. */
  failed(error: MlxdError): void {
    if (isRetryable(error)) this.#tokens = Math.max(0, this.#tokens - 1);
  }
}

/** gRPC's header for the wait before a retry: milliseconds, or any other value for no retry. */
const readPushbackMs = ({ cause }: MlxdError): number | undefined => {
  const value = cause instanceof ConnectError ? cause.metadata.get("grpc-retry-pushback-ms") : null;
  if (value === null) return undefined;
  return /^\d+$/.test(value) ? Number(value) : -1;
};
