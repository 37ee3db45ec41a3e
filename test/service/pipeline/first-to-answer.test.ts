import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import {
  BackendQuota,
  BackendRefused,
  BackendUnavailable,
  EngineLost,
  ModelNotFound,
  type ServiceError,
} from "../../../src/service/domain/errors.ts";
import type { GenerationEvent, GenerationStarted } from "../../../src/service/domain/generation-result.ts";
import { firstToAnswer } from "../../../src/service/pipeline/first-to-answer.ts";
import { chunk, finished, started } from "../../support/scripted-generations.ts";
import { task } from "../../support/tasks.ts";

type Played = ReadonlyArray<GenerationEvent | ServiceError>;

const about = { model: "a", backend: "attic" };
const gone = new BackendUnavailable({ ...about, cause: "http_503", retryAfterMs: 700 });
const busy = new BackendQuota({ model: "b", backend: "cellar", retryAfterMs: 300 });
const lost = new EngineLost({ model: "a" });
const answer = [started, chunk("Yes", 1), finished(1)];

/** Runs a task for `a`, with `b` and `c` as alternatives, on models that play these events, or fail. */
const run = Effect.fnUntraced(function* (
  plays: Readonly<Record<string, Played>>,
  streams: boolean,
  alternatives: ReadonlyArray<string> = ["b", "c"],
) {
  const events: GenerationEvent[] = [];
  const asked: string[] = [];
  const result = yield* Effect.result(
    firstToAnswer({
      task: { ...task({ model: "a" }), alternatives },
      streams,
      emit: (event) => void events.push(event),
      ask: Effect.fnUntraced(function* ({ model, alternatives: left }, emit): Effect.fn.Return<void, ServiceError> {
        assert.isUndefined(left);
        asked.push(model);
        for (const each of plays[model] ?? []) {
          if ("_tag" in each) return yield* Effect.fail(each);
          emit(each, 1);
        }
      }),
    }),
  );
  const error = result._tag === "Failure" ? result.failure : undefined;
  const first = events.find((event): event is GenerationStarted => event.type === "started");
  const passedOver = first?.passedOver?.map(({ model, error: { _tag } }) => [model, _tag]);
  return { asked, error, passedOver, types: events.map(({ type }) => type) };
});

const whole = ["started", "chunk", "finished"];

describe("a task with alternatives", () => {
  it.effect.each([true, false])("is answered by its own model where that answers (streams: %s)", (streams) =>
    Effect.gen(function* () {
      const { asked, types, passedOver } = yield* run({ a: answer }, streams);
      assert.deepStrictEqual([asked, types, passedOver], [["a"], whole, undefined]);
    }),
  );

  it.effect.each([true, false])(
    "is answered by the first one that does, and tells why not by the others (%s)",
    (streams) =>
      Effect.gen(function* () {
        const { asked, types, passedOver } = yield* run({ a: [gone], b: [started, busy], c: answer }, streams);
        assert.deepStrictEqual(asked, ["a", "b", "c"]);
        assert.deepStrictEqual(types, whole);
        assert.deepStrictEqual(passedOver, [
          ["a", "BackendUnavailable"],
          ["b", "BackendQuota"],
        ]);
      }),
  );

  it.effect("asks no other one when a part of an answer was streamed, and another one when it was not", () =>
    Effect.gen(function* () {
      const plays = { a: [started, chunk("Y", 1), lost], b: answer };
      const streamed = yield* run(plays, true);
      assert.deepStrictEqual([streamed.asked, streamed.error], [["a"], lost]);
      assert.deepStrictEqual(streamed.types, ["started", "chunk"]);
      const collected = yield* run(plays, false);
      assert.deepStrictEqual([collected.asked, collected.types], [["a", "b"], whole]);
      assert.deepStrictEqual(collected.passedOver, [["a", "EngineLost"]]);
    }),
  );

  it.effect("asks no other one for what is the task's fault, or a wrong name", () =>
    Effect.gen(function* () {
      const refused = new BackendRefused({ ...about, status: 400, words: "no" });
      const unknown = new ModelNotFound({ model: "a", nearest: [] });
      const killer = new EngineLost({ model: "a", deaths: 2 });
      for (const failure of [refused, unknown, killer]) {
        const { asked, error } = yield* run({ a: [failure] }, false);
        assert.deepStrictEqual([asked, error], [["a"], failure]);
      }
      const absent = new ModelNotFound({ model: "org/a", nearest: [], backend: "attic" });
      assert.deepStrictEqual((yield* run({ a: [absent], b: answer }, false)).asked, ["a", "b"]);
    }),
  );

  it.effect("tells of all where none answers, and when the first of them may", () =>
    Effect.gen(function* () {
      const { error, types } = yield* run({ a: [gone], b: [busy], c: [gone] }, true);
      assert.deepInclude(error, { _tag: "NoModelAnswers", models: ["a", "b", "c"], retryAfterMs: 300 });
      assert.include(error?.message, busy.message);
      assert.deepStrictEqual(types, []);
    }),
  );

  it.effect("is asked of no other model where it lists none", () =>
    Effect.gen(function* () {
      const { asked, error } = yield* run({ a: [gone] }, false, []);
      assert.deepStrictEqual([asked, error], [["a"], gone]);
    }),
  );
});
