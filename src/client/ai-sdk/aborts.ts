import { isMlxdError } from "../errors.ts";

/** The error of a call, or the reason of its signal if that ended it: the AI SDK knows an abort by the name of that reason. */
export const abortOr = (error: unknown, signal: AbortSignal | undefined): unknown =>
  signal?.aborted && isMlxdError(error, "CANCELLED") ? signal.reason : error;

/** Handles a rejection so. */
export const throwAbort =
  (signal: AbortSignal | undefined) =>
  (error: unknown): never => {
    throw abortOr(error, signal);
  };
