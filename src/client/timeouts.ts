import { show } from "./check.ts";
import { invalidField } from "./errors.ts";

/** The longest timeout, in milliseconds: the gRPC protocol allows eight digits. */
const maxTimeoutMs = 99_999_999;

/**
 * A timeout in whole milliseconds; undefined for none, which is what undefined, 0 and Infinity mean. Any other value outside
 * 0 to 99,999,999 is refused: transports would clamp it, or let it elapse immediately.
 */
export const normalizeTimeoutMs = (timeoutMs: unknown): number | undefined => {
  if (timeoutMs === undefined || timeoutMs === 0 || timeoutMs === Number.POSITIVE_INFINITY) return undefined;
  if (typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= maxTimeoutMs) return Math.ceil(timeoutMs);
  throw invalidField(
    "timeoutMs",
    `${show(timeoutMs)} is not between 0 and ${maxTimeoutMs} milliseconds; 0 and Infinity mean none`,
  );
};
