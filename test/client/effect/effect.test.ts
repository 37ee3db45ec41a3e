import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer, Stream } from "effect";
import * as z from "zod";
import { Mlxd, MlxdFailure } from "../../../src/client/effect/index.ts";
import { createTestClient, defineTool, type ScriptedAnswer } from "../../../src/client/testing/index.ts";

const scripted = (...answers: ScriptedAnswer[]): Layer.Layer<Mlxd> =>
  Layer.suspend(() => Mlxd.layerClient(createTestClient({ answers }).client));

describe("the client for Effect", () => {
  it.effect("generates, streams and makes objects", () =>
    Effect.gen(function* () {
      const mlxd = yield* Mlxd;
      assert.strictEqual((yield* mlxd.generate("?")).text, "4");
      const texts = yield* Stream.runCollect(mlxd.streamText("?"));
      assert.deepStrictEqual([...texts], ["4"]);
      const events = yield* Stream.runCollect(mlxd.stream("?"));
      assert.deepStrictEqual(
        [...events].map(({ type }) => type),
        ["started", "chunk", "finished"],
      );
      assert.strictEqual((yield* mlxd.generateObject(z.number(), "?")).object, 4);
      assert.strictEqual((yield* mlxd.use((client) => client.getModel())).id, "test");
    }).pipe(Effect.provide(scripted("4"))),
  );

  it.effect("runs tools", () =>
    Effect.gen(function* () {
      const mlxd = yield* Mlxd;
      const now = defineTool({ name: "now", run: () => "12:00" });
      const events = yield* Stream.runCollect(mlxd.runTools([now], "?"));
      const results = [...events].flatMap((event) => (event.type === "tool_result" ? event.content : []));
      assert.deepStrictEqual(results, ["12:00"]);
    }).pipe(Effect.provide(scripted({ toolCalls: [{ name: "now", arguments: {} }] }, "Noon."))),
  );

  it.effect("fails with one tagged error, in calls, in streams and for arguments", () =>
    Effect.gen(function* () {
      const mlxd = yield* Mlxd;
      const full = yield* mlxd.generate("?").pipe(Effect.catchTag("MlxdFailure", (failure) => Effect.succeed(failure)));
      assert.instanceOf(full, MlxdFailure);
      assert.deepStrictEqual([full.reason, full.code, full.retryAfterMs], ["QUEUE_FULL", "RESOURCE_EXHAUSTED", 50]);
      const cut = yield* Effect.flip(Stream.runDrain(mlxd.stream("?")));
      assert.strictEqual(cut.reason, "QUEUE_FULL");
      const bad = yield* Effect.flip(Stream.runDrain(mlxd.stream("?", { topP: Number.NaN })));
      assert.strictEqual(bad.message, "topP: NaN is not a finite number");
    }).pipe(
      Effect.provide(scripted({ error: { reason: "QUEUE_FULL", code: "RESOURCE_EXHAUSTED", retryAfterMs: 50 } })),
    ),
  );

  it.live("ends on the server what is interrupted", () =>
    Effect.gen(function* () {
      const mlxd = yield* Mlxd;
      const unary = yield* Effect.forkChild(mlxd.generate("?"));
      const stream = yield* Effect.forkChild(Stream.runDrain(mlxd.stream("?")));
      yield* Effect.yieldNow;
      yield* Fiber.interrupt(unary);
      yield* Fiber.interrupt(stream);
    }).pipe(Effect.provide(scripted({ text: "a", delayMs: 3_600_000 }))),
  );
});
