/**
 * Parses the caller's trace context from the header `traceparent`:
 * https://www.w3.org/TR/trace-context/#traceparent-header
 */

export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether the caller traces this call. */
  readonly sampled: boolean;
}

/** Undefined for an invalid header, which the standard says to ignore. */
export const parseTraceParent = (header: string | null | undefined): TraceParent | undefined => {
  const found = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header ?? "");
  if (found === null) return undefined;
  const [, version = "", traceId = "", spanId = "", flags = "", more] = found;
  const isKnown = version !== "ff" && (version !== "00" || more === undefined);
  if (!isKnown || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
};
