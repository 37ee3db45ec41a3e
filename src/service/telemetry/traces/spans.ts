/** Spans for work outside of fibers: they are written once their times are known, below the span of the fiber. */
import { Context, Effect, Exit, Option } from "effect";

import { Tracing } from "./Tracing.ts";

type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** @param from epoch milliseconds, like `to`; fractions count */
export type WriteSpan = (name: string, from: number, to: number, attributes: SpanAttributes) => void;

/** Undefined if the call of this fiber is not traced, so that nothing needs to be measured. */
export const spanWriter: Effect.Effect<WriteSpan | undefined> = Effect.gen(function* () {
  if (!(yield* Tracing).isOn) return undefined;
  const parent = yield* Effect.option(Effect.currentParentSpan);
  if (Option.isNone(parent) || !parent.value.sampled) return undefined;
  const tracer = yield* Effect.tracer;
  return (name, from, to, attributes) => {
    const span = tracer.span({
      name,
      parent,
      annotations: Context.empty(),
      links: [],
      startTime: nanosOf(from),
      kind: "internal",
      root: false,
      sampled: true,
    });
    for (const [key, value] of Object.entries(attributes)) span.attribute(key, value);
    span.end(nanosOf(Math.max(from, to)), Exit.void);
  };
});

const nanosOf = (ms: number): bigint => BigInt(Math.round(ms * 1000)) * 1000n;
