import { Code, type CallOptions as ConnectCallOptions, ConnectError } from "@connectrpc/connect";
import { checkObject } from "./check.ts";
import type { Clock } from "./clock.ts";
import type { CredentialStore } from "./credentials.ts";
import { decodeError } from "./decode-error.ts";
import { assertNoOthers, type GenerationProgress, invalidField, type MlxdError } from "./errors.ts";
import { createHeaders, type HeaderValues } from "./headers.ts";
import { type NameOf, optionName } from "./option-names.ts";
import { type RetryBudget, retryDelayMs, type RetryPolicy } from "./retry.ts";
import { normalizeTimeoutMs } from "./timeouts.ts";

/** Options of every call. */
export interface CallOptions {
  /**
   * Cancels the call when it is aborted; the call then fails with `CANCELLED`.
   * @default none
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Time limit for the whole call, retries included, in milliseconds; less than 100,000,000. 0 and Infinity mean none.
   * @default the client's `timeoutMs`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Headers of this call, in addition to the client's.
   * @default none
   */
  readonly headers?: HeaderValues | undefined;
}

/** Options that have been checked. */
export interface CheckedCallOptions {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly headers: Headers;
  /** Converts field paths in the service's errors to the caller's names. */
  readonly nameOf: NameOf;
}

/** What the calls of one client share. */
export interface CallContext {
  readonly clock: Clock;
  readonly policy: RetryPolicy;
  readonly budget: RetryBudget;
  /** The calls that are running. */
  readonly running: Set<Call>;
  readonly credentials: CredentialStore | undefined;
}

/** Makes one attempt: a unary call, or a stream up to its first message. */
export type Attempt<T> = (options: ConnectCallOptions) => Promise<T>;

/** Checks a call's options and fills in the client's timeout. */
export const checkCallOptions = (
  { signal, timeoutMs, headers, ...others }: CallOptions,
  defaultTimeoutMs: number | undefined,
  nameOf: NameOf = optionName,
): CheckedCallOptions => {
  assertNoOthers(others);
  return {
    signal: checkSignal(signal),
    timeoutMs: normalizeTimeoutMs(timeoutMs === undefined ? defaultTimeoutMs : timeoutMs),
    headers: createHeaders(headers),
    nameOf,
  };
};

const checkSignal = (signal: unknown): AbortSignal | undefined => {
  if (signal === undefined) return undefined;
  // Checked by its members and not by its class: other realms and older runtimes have their own AbortSignal.
  const { aborted, addEventListener } = checkObject(signal, "signal");
  if (typeof aborted === "boolean" && typeof addEventListener === "function") return signal as AbortSignal;
  throw invalidField("signal", "the object is not an AbortSignal; pass the `signal` of an AbortController");
};

/**
 * One call with all its attempts and their common deadline. It has a signal of its own, which is aborted with the error code
 * that every transport converts to a cancellation on the wire. It listens to the caller's signal only while it is running.
 */
export class Call {
  readonly #context: CallContext;
  readonly #options: CheckedCallOptions;
  readonly #controller = new AbortController();
  readonly #deadline: number;
  #cancelled: { readonly reason: unknown } | undefined;

  constructor(context: CallContext, options: CheckedCallOptions) {
    this.#context = context;
    this.#options = options;
    this.#deadline = context.clock.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    context.running.add(this);
    const { signal } = options;
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  /** Cancels the call. */
  cancel(reason?: unknown): void {
    if (this.#controller.signal.aborted) return;
    this.#cancelled = { reason };
    this.#controller.abort(new ConnectError("the caller ended this call", Code.Canceled));
  }

  /** The call has ended: removes its listener and its entry among the running calls. */
  end(): void {
    this.#context.running.delete(this);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  /** Makes attempts until one succeeds or the policy allows no more. Rejects with an {@link MlxdError}. */
  async attempt<T>(attempt: Attempt<T>): Promise<T> {
    const { clock, policy, budget, credentials } = this.#context;
    let isRenewed = false;
    let unseen = 0;
    for (let attempts = 1; ; attempts++) {
      const token = credentials?.version;
      try {
        this.#controller.signal.throwIfAborted();
        const result = await attempt(this.#attemptOptions());
        budget.succeeded();
        return result;
      } catch (error) {
        const failure = this.decode(error);
        budget.failed(failure);
        if (isRefusedToken(failure) && !isRenewed && credentials?.renew(token ?? 0)) {
          isRenewed = true;
          attempts--; // does not count towards the policy
          continue;
        }
        if (isRefusedStream(failure) && unseen++ < maxUnseen) {
          attempts--; // the service has not seen it: as in gRPC, this does not count as a retry
          continue;
        }
        const delayMs = budget.allows ? retryDelayMs(failure, attempts, policy, clock.random()) : undefined;
        if (delayMs === undefined || delayMs >= this.#remainingMs()) throw failure;
        await clock.sleep(delayMs, this.#controller.signal);
      }
    }
  }

  /** Converts an error of this call. */
  decode(error: unknown, progress?: GenerationProgress): MlxdError {
    return decodeError(error, { cancelled: this.#cancelled, progress, nameOf: this.#options.nameOf });
  }

  readonly #onAbort = (): void => this.cancel(this.#options.signal?.reason);

  #remainingMs(): number {
    return this.#deadline - this.#context.clock.now();
  }

  #attemptOptions(): ConnectCallOptions {
    const remainingMs = this.#remainingMs();
    return {
      headers: this.#options.headers,
      signal: this.#controller.signal,
      // To a transport, 0 and less mean "no timeout".
      ...(remainingMs < Number.POSITIVE_INFINITY && { timeoutMs: Math.max(1, Math.ceil(remainingMs)) }),
    };
  }
}

/** Whether the service refused the token; false if no token could be fetched. */
const isRefusedToken = ({ code, reason }: MlxdError): boolean => code === "UNAUTHENTICATED" && reason !== "CREDENTIALS";

/** How often a call may find its connection going away. */
const maxUnseen = 5;

/** Whether the server has not processed the call: it was sent on a connection that was going away (RFC 9113, 8.7). */
const isRefusedStream = ({ cause }: MlxdError): boolean =>
  cause instanceof ConnectError && /NGHTTP2_REFUSED_STREAM/.test(cause.rawMessage);

/** Makes a unary call. */
export const callUnary = async <T>(
  context: CallContext,
  options: CheckedCallOptions,
  attempt: Attempt<T>,
): Promise<T> => {
  const call = new Call(context, options);
  try {
    return await call.attempt(attempt);
  } catch (error) {
    throw call.decode(error);
  } finally {
    call.end();
  }
};
