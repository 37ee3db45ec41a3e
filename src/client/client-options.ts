import type { Clock } from "./clock.ts";
import type { Credentials } from "./credentials.ts";
import type { HeaderSource } from "./headers.ts";
import type { RetryPolicy } from "./retry.ts";

/** Options of every client, whatever its transport. */
export interface ClientOptions {
  /**
   * Headers of every call, or a function that returns them; it is called before each attempt.
   * @default none
   */
  readonly headers?: HeaderSource | undefined;
  /**
   * An API key, or a function that fetches a token. Sent as `authorization: Bearer ...` with every call that does not set this
   * header itself.
   * @default none
   */
  readonly credentials?: Credentials | undefined;
  /**
   * The model of calls that do not name one.
   * @default the service's default model
   */
  readonly defaultModel?: string | undefined;
  /**
   * Timeout of calls that do not set one, in milliseconds; less than 100,000,000. 0 and Infinity mean none.
   * @default none; the service has a limit of its own
   */
  readonly timeoutMs?: number | undefined;
  /**
   * When and how often a failed call is retried; false for never.
   * @default {@link defaultRetryPolicy}
   */
  readonly retry?: Partial<RetryPolicy> | false | undefined;
  /**
   * Time and randomness, for tests.
   * @default the machine's
   */
  readonly clock?: Clock | undefined;
}
