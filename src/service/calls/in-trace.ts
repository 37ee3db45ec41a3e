/**
 * Runs a call in a span below that of its caller. If this service does not trace, the caller's trace id still appears
 * in logs and errors.
 */
import { Effect, Random, Tracer } from "effect";

import { Tracing } from "../telemetry/traces/Tracing.ts";
import type { TraceParent } from "./trace-context.ts";

interface TracedCall {
  readonly method: string;
  readonly requestId: string;
  /** Undefined: the call is not traced. */
  readonly trace?: { readonly parent: TraceParent | undefined };
}

/**
 * The caller decides whether the call is traced. If it does not say, a configured share of calls is sampled.
 *
 * @param onTraceId called with the id before the work begins
 */
export const inTrace = <A, E>(
  work: Effect.Effect<A, E>,
  { trace, method, requestId }: TracedCall,
  onTraceId: (traceId: string) => void,
): Effect.Effect<A, E> => {
  if (trace === undefined) return work;
  const { parent } = trace;
  const named = (traceId: string) => {
    onTraceId(traceId);
    return Effect.annotateLogs(work, { traceId });
  };
  return Effect.flatMap(Tracing, ({ isOn, sampleRatio }) => {
    // Nobody would get the spans.
    if (!isOn) return Effect.withTracerEnabled(parent === undefined ? work : named(parent.traceId), false);
    const asSpan = (sampled: boolean) =>
      Effect.currentSpan.pipe(
        Effect.orDie,
        Effect.flatMap(({ traceId }) => named(traceId)),
        Effect.withSpan(method, {
          kind: "server",
          sampled,
          attributes: { "rpc.method": method, "mlxd.request_id": requestId },
          ...(parent === undefined ? { root: true } : { parent: Tracer.externalSpan(parent) }),
        }),
      );
    if (parent !== undefined) return asSpan(parent.sampled);
    return Effect.flatMap(Random.next, (chance) => asSpan(chance < sampleRatio));
  });
};
