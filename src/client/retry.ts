import { ConnectError } from "@connectrpc/connect";
import { checkObject, show } from "./check.ts";
import { assertNoOthers, invalidField, type MlxdError } from "./errors.ts";

/**
 * When and how often a failed call is tried again.
 *
 * Only what is safe is repeated: a call that failed with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a delay from the
 * service, and of whose answer nothing had arrived. A stream is not repeated once its first event is there.
 */
export interface RetryPolicy {
  /**
   * Attempts in all, the first one included; 1 means no retry.
   * @default 3
   */
  readonly maxAttempts: number;
  /**
   * The wait before the second attempt, in milliseconds.
   * @default 200
   */
  readonly initialBackoffMs: number;
  /**
   * The longest wait that the client chooses by itself, in milliseconds.
   * @default 2000
   */
  readonly maxBackoffMs: number;
  /**
   * What each wait is multiplied with to get the next one.
   * @default 2
   */
  readonly backoffMultiplier: number;
  /**
   * The longest wait that the service may ask for, in milliseconds; a longer one is not waited for, and the error is
   * thrown with its `retryAfterMs`.
   * @default 30000
   */
  readonly maxRetryAfterMs: number;
}

/** The policy of a client that sets none. */
export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 3,
  initialBackoffMs: 200,
  maxBackoffMs: 2_000,
  backoffMultiplier: 2,
  maxRetryAfterMs: 30_000,
};

/** The default policy with these changes; false is one attempt. */
export const createRetryPolicy = (changes: Partial<RetryPolicy> | false = {}): RetryPolicy => {
  const given = changes === false ? { maxAttempts: 1 } : checkObject(changes, "retry");
  const policy = { ...defaultRetryPolicy, ...present(given) };
  const { maxAttempts, initialBackoffMs, maxBackoffMs, backoffMultiplier, maxRetryAfterMs, ...others } = policy;
  assertNoOthers(others, "retry.");
  for (const [name, value] of Object.entries(policy)) {
    if (!(typeof value === "number" && value >= 0)) {
      throw invalidField(`retry.${name}`, `${show(value)} is no number from 0 on`);
    }
  }
  return { maxAttempts, initialBackoffMs, maxBackoffMs, backoffMultiplier, maxRetryAfterMs };
};

/** What is undefined leaves the default. */
const present = (given: object): Partial<RetryPolicy> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));

/** Part of a wait that is left to chance, so that many clients do not come back at once. */
const jitter = 0.2;

/**
 * How long to wait before the next attempt, in milliseconds, or undefined if there shall be none.
 *
 * @param attempts those made so far
 * @param random a number from 0 up to 1
 */
export const retryDelayMs = (
  error: MlxdError,
  attempts: number,
  policy: RetryPolicy,
  random: number,
): number | undefined => {
  if (attempts >= policy.maxAttempts || !isRetryable(error)) return undefined;
  const pushbackMs = readPushbackMs(error);
  // Not ours to spread: the server chose the moment, or forbids a retry.
  if (pushbackMs !== undefined) return pushbackMs >= 0 && pushbackMs <= policy.maxRetryAfterMs ? pushbackMs : undefined;
  if (error.retryAfterMs !== undefined) {
    return error.retryAfterMs <= policy.maxRetryAfterMs ? error.retryAfterMs * (1 + jitter * random) : undefined;
  }
  const backoffMs = policy.initialBackoffMs * policy.backoffMultiplier ** (attempts - 1);
  return Math.min(backoffMs, policy.maxBackoffMs) * (1 - jitter + 2 * jitter * random);
};

/** Whether the service, or the lack of it, says that the same call may succeed later. */
const isRetryable = ({ code, retryAfterMs }: MlxdError): boolean =>
  code === "UNAVAILABLE" || (code === "RESOURCE_EXHAUSTED" && retryAfterMs !== undefined);

/**
 * Keeps a client from adding to the load of a service that is failing: after some failures without enough successes
 * between them there are no more retries. As in gRPC (gRFC A6): 10 tokens, a retryable failure costs one, a success
 * gives back a tenth, and there are retries while more than half are left.
 */
export class RetryBudget {
  #tokens = 10;

  /** Whether there may be a retry now. */
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

/** gRPC's own header for the wait before a retry: milliseconds, or anything else for "do not". */
const readPushbackMs = ({ cause }: MlxdError): number | undefined => {
  const value = cause instanceof ConnectError ? cause.metadata.get("grpc-retry-pushback-ms") : null;
  if (value === null) return undefined;
  return /^\d+$/.test(value) ? Number(value) : -1;
};
