/** Calls of a protocol that is neither Connect's nor gRPC's. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, ManagedRuntime, Stream } from "effect";

import { Calls, type Incoming } from "../../../src/service/calls/Calls.ts";
import type { CallFailure } from "../../../src/service/calls/failure.ts";
import { ServerConfig } from "../../../src/service/config/ServerConfig.ts";
import { CurrentCall } from "../../../src/service/domain/Call.ts";
import { anonymous } from "../../../src/service/domain/Caller.ts";
import { QueueFull } from "../../../src/service/domain/errors.ts";
import { collect } from "../../support/collect.ts";
import { testConfig } from "../../support/test-server.ts";

class Told extends Error {
  readonly failure: CallFailure;

  constructor(failure: CallFailure) {
    super(failure.type);
    this.failure = failure;
  }
}

const incoming = (changes: Partial<Incoming> = {}): Incoming => ({
  method: "GET /plain",
  requestId: "request-1",
  caller: anonymous("10.0.0.1:5"),
  receivedAt: performance.now(),
  timeoutMs: undefined,
  onLeave: () => {},
  toError: (failure) => new Told(failure),
  reset: () => {},
  ...changes,
});

const withCalls = async (test: (calls: Calls["Service"]) => Promise<void>): Promise<void> => {
  const runtime = ManagedRuntime.make(
    Calls.layer.pipe(Layer.provide(Layer.succeed(ServerConfig, { ...testConfig, stallMs: 50 }))),
  );
  try {
    await test(await runtime.runPromise(Calls));
  } finally {
    await runtime.dispose();
  }
};

const failureOf = (answer: Promise<unknown>): Promise<CallFailure | undefined> =>
  answer.then(
    () => undefined,
    (reason: unknown) => (reason as Told).failure,
  );

const progress = { generationId: "gen_1", usage: { promptTokens: 3, cachedPromptTokens: 0, outputTokens: 2 } };
/** Tells how far it has come, and goes on for ever. */
const generation = Effect.andThen(
  Effect.flatMap(CurrentCall, ({ follow }) => Effect.sync(() => follow(() => progress))),
  Effect.never,
);
const streamed = { toMessage: (event: string, sequence: number) => `${sequence}:${event}` };

describe("a call", () => {
  it("knows who calls, and answers", () =>
    withCalls(async (calls) => {
      const who = Effect.map(CurrentCall, ({ caller, requestId }) => `${caller.peer} ${requestId}`);
      assert.equal(await calls.answer(incoming(), who), "10.0.0.1:5 request-1");
      const stream = Stream.fromEffect(who);
      assert.deepEqual(await collect(calls.stream(incoming(), { ...streamed, stream })), ["0:10.0.0.1:5 request-1"]);
    }));

  it("fails with what went wrong, in its protocol's words", () =>
    withCalls(async (calls) => {
      const error = new QueueFull({ model: "demo", limit: 1, retryAfterMs: 5 });
      const failed = await failureOf(calls.answer(incoming(), Effect.fail(error)));
      assert.deepEqual(failed, { type: "error", error, lastSequence: undefined });
      const stream = Stream.concat(Stream.make("a", "b"), Stream.fail(error));
      const late = await failureOf(collect(calls.stream(incoming(), { ...streamed, stream })));
      assert.deepEqual(late, { type: "error", error, lastSequence: 1 });
    }));

  it("ends at its deadline, with how far its generation had come and after what was made", () =>
    withCalls(async (calls) => {
      const failed = await failureOf(calls.answer(incoming({ timeoutMs: 20 }), generation));
      assert.deepInclude(failed?.type === "error" ? failed.error : {}, { _tag: "DeadlineExceeded", progress });
      const stream = Stream.concat(Stream.make("a"), Stream.fromEffectDrain(generation));
      const iterator = calls.stream(incoming({ timeoutMs: 20 }), { ...streamed, stream })[Symbol.asyncIterator]();
      await new Promise((resolve) => setTimeout(resolve, 40));
      assert.deepEqual(await iterator.next(), { done: false, value: "0:a" });
      const late = await failureOf(iterator.next());
      assert.deepInclude(late, { type: "error", lastSequence: 0 });
      assert.deepInclude(late?.type === "error" ? late.error : {}, { _tag: "DeadlineExceeded", progress });
    }));

  it("is interrupted when its caller leaves", () =>
    withCalls(async (calls) => {
      let leave = () => {};
      let isCut: boolean | undefined;
      const heard = Effect.flatMap(CurrentCall, (call) =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => (isCut = call.isCut()))),
      );
      const failed = failureOf(calls.answer(incoming({ onLeave: (listener) => (leave = listener) }), heard));
      leave();
      assert.deepEqual(await failed, { type: "left" });
      assert.isFalse(isCut);
    }));

  it("is cut when the service ends, and knows that", () =>
    withCalls(async (calls) => {
      let isCut: boolean | undefined;
      const stream = Stream.concat(
        Stream.make("a"),
        Stream.fromEffectDrain(
          Effect.flatMap(CurrentCall, (call) =>
            Effect.onInterrupt(generation, () => Effect.sync(() => (isCut = call.isCut()))),
          ),
        ),
      );
      const iterator = calls.stream(incoming(), { ...streamed, stream })[Symbol.asyncIterator]();
      await iterator.next();
      await Effect.runPromise(calls.cutAll);
      const failed = await failureOf(iterator.next());
      assert.deepInclude(failed?.type === "error" ? failed.error : {}, { _tag: "ShutDown", progress });
      assert.isTrue(isCut);
    }));

  it("whose reader stalls is told so, and reset where it does not come for that either", () =>
    withCalls(async (calls) => {
      let resets = 0;
      const stream = Stream.concat(Stream.make("a"), Stream.fromEffectDrain(generation));
      const iterator = calls
        .stream(incoming({ reset: () => void (resets += 1) }), { ...streamed, stream })
        [Symbol.asyncIterator]();
      while (resets === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      const failed = await failureOf(iterator.next());
      assert.deepInclude(failed?.type === "error" ? failed.error : {}, { _tag: "ClientStalled", progress });
    }));
});
