import type { Clock } from "./clock.ts";
import type { Credentials } from "./credentials.ts";
import type { HeaderSource } from "./headers.ts";
import type { RetryPolicy } from "./retry.ts";

/** Options of every client, whatever its transport. */
export interface ClientOptions {
  /**
   * Headers of every call, or a function that makes them; it is asked before each attempt.
   * @default none
   */
  readonly headers?: HeaderSource | undefined;
  /**
   * Who calls: an API key, or a function that fetches a token. Sent as `authorization: Bearer ...` with every call that has
   * no such header itself.
   * @default none
   */
  readonly credentials?: Credentials | undefined;
  /**
   * The model of calls that name none.
   * @default the service's default model
   */
  readonly defaultModel?: string | undefined;
  /**
   * Time for each call that sets none itself, in milliseconds; less than 100,000,000. 0 and Infinity mean none.
   * @default none; the service has a limit of its own
   */
  readonly timeoutMs?: number | undefined;
  /**
   * When and how often a failed call is tried again; false for never.
   * @default {@link defaultRetryPolicy}
   */
  readonly retry?: Partial<RetryPolicy> | false | undefined;
  /**
   * Time and chance, for tests.
   * @default the machine's
   */
  readonly clock?: Clock | undefined;
}
