import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Tracer } from "effect";

import { spanWriter } from "../../../../src/service/telemetry/traces/spans.ts";
import { Tracing } from "../../../../src/service/telemetry/traces/Tracing.ts";

/** A tracer that keeps what it makes. */
const keeping = (made: Tracer.Span[]): Tracer.Tracer =>
  Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options);
      made.push(span);
      return span;
    },
  });

const on = (made: Tracer.Span[]) =>
  Layer.merge(Layer.succeed(Tracer.Tracer, keeping(made)), Layer.succeed(Tracing, { isOn: true, sampleRatio: 1 }));

describe("spanWriter", () => {
  it.effect("writes below the span of its fiber, with the times that it is given", () => {
    const made: Tracer.Span[] = [];
    return Effect.gen(function* () {
      const write = yield* spanWriter;
      write?.("part", 1_000, 1_002.5, { rows: 3 });
      const [parent, part] = made;
      assert.strictEqual(part?.name, "part");
      assert.strictEqual(part?.traceId, parent?.traceId);
      assert.deepInclude(part?.status, { startTime: 1_000_000_000n, endTime: 1_002_500_000n });
      assert.strictEqual(part?.attributes.get("rows"), 3);
    }).pipe(Effect.withSpan("call"), Effect.provide(on(made)));
  });

  it.effect("is not there outside of a call, in one that is not traced, and where nothing is", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* spanWriter.pipe(Effect.provide(on([]))));
      const untraced = spanWriter.pipe(Effect.withSpan("call", { sampled: false }), Effect.provide(on([])));
      assert.isUndefined(yield* untraced);
      assert.isUndefined(yield* Effect.withSpan(spanWriter, "call"));
    }),
  );
});
