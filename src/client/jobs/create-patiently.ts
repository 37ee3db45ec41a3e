import { type Attempt, type CallOptions, checkCallOptions } from "../call.ts";
import type { Caller } from "../caller.ts";
import type { NameOf } from "../option-names.ts";

/** How long a caller who leaves waits for the answer. If the service is gone, there is none. */
const answerWithinMs = 2_000;

/**
 * Makes the call that creates a job. It is not cancelled as soon as its caller leaves: the service may have the job already,
 * and only the answer tells which one has to be undone.
 */
export const createPatiently = async <T>(
  caller: Caller,
  options: CallOptions,
  attempt: Attempt<T>,
  nameOf?: NameOf,
): Promise<T> => {
  const { signal } = checkCallOptions(options, undefined, nameOf);
  if (signal === undefined || signal.aborted) return caller.unary(options, attempt, nameOf);
  const late = new AbortController();
  const over = new AbortController();
  const onAbort = () => {
    caller.clock.sleep(answerWithinMs, over.signal).then(
      () => late.abort(signal.reason),
      () => {}, // it was answered
    );
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await caller.unary({ ...options, signal: late.signal }, attempt, nameOf);
  } finally {
    signal.removeEventListener("abort", onAbort);
    over.abort();
  }
};
