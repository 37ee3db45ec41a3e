/** Several answers to one prompt. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Stream } from "effect";
import { TestClock } from "effect/testing";

import { EngineLost } from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { chat, message, task } from "../../support/tasks.ts";
import { assertIdle, withPipeline } from "../../support/scripted-pipeline.ts";

describe("the candidates of a generation", () => {
  const candidates = (candidateCount: number, seed = 4_000_000_000) =>
    task({ sampling: { candidateCount, seed }, output: { ...task().output, promptLogprobs: true } });

  it.effect("runs each candidate with a seed of its own, the first with the task's", () =>
    withPipeline(["a", "b"], (engine) =>
      Effect.gen(function* () {
        const { candidates: answers, usage, started } = yield* (yield* Generations).run(candidates(3));
        assert.deepStrictEqual(
          engine.requests.map(({ parameters, promptLogprobs }) => [parameters.seed, promptLogprobs]),
          [
            [4_000_000_000, true],
            [(4_000_000_000 + 2_654_435_769) % 2 ** 32, false],
            [(4_000_000_000 + 2 * 2_654_435_769) % 2 ** 32, false],
          ],
        );
        assert.strictEqual(started.parameters.seed, 4_000_000_000);
        assert.deepStrictEqual(
          answers.map(({ text, finished }) => [finished.candidateIndex, text, finished.usage.outputTokens]),
          [
            [0, "ab", 2],
            [1, "ab", 2],
            [2, "ab", 2],
          ],
        );
        assert.deepStrictEqual(usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 6 });
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 0, succeeded: 1, promptTokens: 5, outputTokens: 6 });
      }),
    ),
  );

  it.effect("starts once and finishes each candidate once", () =>
    withPipeline(["a"], () =>
      Effect.gen(function* () {
        const events = yield* Stream.runCollect((yield* Generations).stream(candidates(2)));
        assert.deepStrictEqual(
          events.map((event) => (event.type === "started" ? "started" : `${event.type} ${event.candidateIndex}`)),
          ["started", "chunk 0", "finished 0", "chunk 1", "finished 1"],
        );
      }),
    ),
  );

  it.effect("drops every candidate when the reader leaves, or one is lost", () =>
    withPipeline(["a", { pause: true }, { fail: new EngineLost({ model: "tiny" }) }], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        yield* generations.stream(candidates(2)).pipe(Stream.take(2), Stream.runCollect);
        assert.strictEqual(engine.dropped.length, 2);
        const fiber = yield* Effect.forkChild(Effect.flip(generations.run(candidates(2))));
        yield* TestClock.adjust("1 millis");
        yield* engine.resume;
        const error = yield* Fiber.join(fiber);
        assert.strictEqual(error._tag === "EngineLost" ? error.progress?.usage.outputTokens : -1, 2);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("ends every candidate of a cancelled generation", () =>
    withPipeline(["a", { pause: true }, "b"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* generations.stream(candidates(2)).pipe(
          Stream.tap((event) =>
            event.type === "chunk" && event.candidateIndex === 1
              ? Effect.map(generations.cancel(generationId), (found) => assert.isTrue(found))
              : Effect.sync(() => {
                  if (event.type === "started") generationId = event.generationId;
                }),
          ),
          Stream.runCollect,
        );
        assert.deepStrictEqual(
          events.flatMap((event) => (event.type === "finished" ? [event.finishReason] : [])),
          ["cancelled", "cancelled"],
        );
      }),
    ),
  );
  let generationId = "";

  it.effect("begins each candidate's text with the prompt, of whatever kind it is", () =>
    withPipeline(["x"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const inputs: ReadonlyArray<GenerationTask["input"]> = [
          { type: "prompt", text: "ab" },
          chat(message("user", "c"), message("user", "d")),
          { type: "tokens", ids: [101, 102] },
        ];
        const texts: string[][] = [];
        for (const input of inputs) {
          const echoing = { ...candidates(2), input, output: { ...task().output, echoPrompt: true } };
          const result = yield* generations.run(echoing);
          texts.push(result.candidates.map(({ text }) => text));
          assert.deepStrictEqual(
            result.candidates.map(({ tokenIds }) => tokenIds),
            [[101], [101]],
          );
          assert.strictEqual(result.usage.outputTokens, 2);
        }
        assert.deepStrictEqual(texts, [
          ["abx", "abx"],
          ["c|dx", "c|dx"],
          ["efx", "efx"],
        ]);
      }),
    ),
  );
});
