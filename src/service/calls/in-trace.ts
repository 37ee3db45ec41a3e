/** A call as a span, below that of its caller. Where nothing is traced here, a caller's trace still has its id in log and errors. */
import { Effect, Random, Tracer } from "effect";

import { Tracing } from "../telemetry/traces/Tracing.ts";
import type { TraceParent } from "./trace-context.ts";

interface TracedCall {
  readonly method: string;
  readonly requestId: string;
  /** Undefined: it is not to be traced. */
  readonly trace?: { readonly parent: TraceParent | undefined };
}

/**
 * Whether it is traced is for the caller to say; of those who do not say, a share is.
 *
 * @param onTraceId told the id before the work begins
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
    if (!isOn) return parent === undefined ? work : named(parent.traceId);
    const asSpan = (sampled: boolean) =>
      Effect.currentSpan.pipe(
        Effect.orDie, // the one that follows
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
