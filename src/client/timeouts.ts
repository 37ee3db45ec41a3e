import { show } from "./check.ts";
import { invalidField } from "./errors.ts";

/** Longest time-out, in milliseconds: the gRPC protocol sends at most eight digits. */
const maxTimeoutMs = 99_999_999;

/**
 * Whole milliseconds of a time-out; undefined for none, which is what absent, 0 and Infinity mean. Anything else than
 * a positive number up to 99,999,999 is refused: transports would cut it, or let it pass at once.
 */
export const normalizeTimeoutMs = (timeoutMs: unknown): number | undefined => {
  if (timeoutMs === undefined || timeoutMs === 0 || timeoutMs === Number.POSITIVE_INFINITY) return undefined;
  if (typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= maxTimeoutMs) return Math.ceil(timeoutMs);
  throw invalidField(
    "timeoutMs",
    `${show(timeoutMs)} is not between 0 and ${maxTimeoutMs} milliseconds; 0 and Infinity mean none`,
  );
};
