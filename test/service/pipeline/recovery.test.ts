/** A broken answer is generated anew, once, where nothing of it was sent. */
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer, Stream } from "effect";
import { TestClock } from "effect/testing";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import { EngineLost } from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { readAdapters } from "../../../src/service/models/files/adapters.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { tokenModel } from "../../support/model-in-use.ts";
import { capturedLog, type LogLine } from "../../support/captured-log.ts";
import { quality } from "../../support/quality.ts";
import { makeScriptedEngine, type Script, type ScriptedEngine } from "../../support/scripted-engine.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";
import { textTools } from "../../support/text-tools.ts";

const adapterFolder = fileURLToPath(new URL("../../fixtures/adapters/llama", import.meta.url));
const question = chat(message("user", "Hello there"));
const sampled = facts({
  contextLength: 4096,
  defaults: { ...facts().defaults, temperature: 0.7, maxOutputTokens: 100 },
});
const eos = { token: 0 };

interface Inside {
  readonly engine: ScriptedEngine;
  readonly log: ReadonlyArray<LogLine>;
}

/** The engine answers its first request with the first script, and so on; the last one holds for all that follow. */
const withAnswers = <A, E>(
  scripts: ReadonlyArray<Script>,
  test: (inside: Inside) => Effect.Effect<A, E, Generations | Stats>,
  { model = sampled, retriesBroken = true } = {},
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine((request) => scripts[request] ?? scripts.at(-1) ?? []);
    const log: LogLine[] = [];
    const tools = {
      facts: model,
      profile: familyProfile("unknown"),
      ...textTools({ render: () => "<|user|>Hello there<|assistant|>" }),
    };
    const base = Layer.mergeAll(
      Layer.mock(Models)({ use: () => Effect.succeed(tokenModel(tools, Effect.succeed(engine))) }),
      Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined }),
      quality({ retriesBroken }),
      Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 2 }),
      Stats.layer,
      openAccess,
      Metrics.layer,
    );
    const layer = generationsLayer.pipe(Layer.provideMerge(Admission.layer), Layer.provideMerge(base));
    return yield* test({ engine, log }).pipe(Effect.provide(Layer.merge(layer, capturedLog(log)), { local: true }));
  });

const run = (overrides: Partial<GenerationTask> = {}) =>
  Effect.flatMap(Generations, (generations) => generations.run(task({ input: question, ...overrides })));
const stream = (overrides: Partial<GenerationTask> = {}) =>
  Effect.flatMap(Generations, (generations) =>
    Stream.runCollect(generations.stream(task({ input: question, ...overrides }))),
  );
const counted = Effect.gen(function* () {
  const { retried, recovered, succeeded, outputTokens, running } =
    (yield* (yield* Stats).snapshot).get("tiny") ?? assert.fail("nothing was counted");
  return { retried, recovered, succeeded, outputTokens, running };
});

const loop: Script = Array.from({ length: 20 }, () => "ha ");

describe("a broken answer of a unary call", () => {
  it.effect("is generated anew with another seed, which the result tells, and costs both", () =>
    withAnswers([loop, ["Good ", "day."]], ({ engine, log }) =>
      Effect.gen(function* () {
        const { candidates, usage, started } = yield* run();
        assert.lengthOf(engine.requests, 2);
        const [first, second] = engine.requests;
        assert.strictEqual(candidates[0]?.text, "Good day.");
        assert.notStrictEqual(second?.parameters.seed, first?.parameters.seed);
        assert.deepEqual({ ...second?.parameters, seed: 0 }, { ...first?.parameters, seed: 0 });
        assert.strictEqual(started.parameters.seed, second?.parameters.seed);
        assert.deepInclude(usage, { outputTokens: 22, discardedTokens: 20 });
        const [warning, ...others] = candidates[0]?.finished.warnings ?? [];
        assert.deepEqual(others, []);
        assert.strictEqual(warning?.kind, "regenerated");
        assert.include(warning?.message, `(runaway repetition)`);
        assert.include(warning?.message, `seed ${second?.parameters.seed}`);
        assert.deepEqual(yield* counted, { retried: 1, recovered: 1, succeeded: 1, outputTokens: 22, running: 0 });
        const warned = log.filter(({ level }) => level === "Warn");
        assert.lengthOf(warned, 1);
        assert.include(warned[0]?.text, "a broken answer was generated anew");
      }),
    ),
  );

  it.effect("is generated anew with the same adapter", () => {
    const of = Effect.promise(() => readAdapters(adapterFolder, []));
    return Effect.flatMap(of, ([adapter = assert.fail()]) =>
      withAnswers(
        [loop, ["Good day."]],
        ({ engine }) =>
          Effect.gen(function* () {
            const { started } = yield* run({ adapter: adapter.id });
            assert.deepEqual(
              engine.requests.map((request) => request.adapter),
              [adapter, adapter],
            );
            const { seed } = engine.requests[1]?.parameters ?? assert.fail();
            assert.deepInclude(started.parameters, { adapter: adapter.id, seed });
          }),
        { model: { ...sampled, adapters: [adapter] } },
      ),
    );
  });

  const broken: ReadonlyArray<readonly [string, Script, string]> = [
    ["is empty", [eos], "empty response"],
    ["is blank", [" ", "\n"], "empty response"],
    ["leaks a token", ["Good ", "day<|eot_id|>"], "special token leakage"],
    ["begins with a role", ["assistant: ", "Good day."], "role marker leakage"],
    ["says one thing over and over", Array.from({ length: 6 }, () => "I am a friendly helper.\n"), "severe repetition"],
  ];
  for (const [what, script, finding] of broken) {
    it.effect(`is one that ${what}`, () =>
      withAnswers([script, ["Good day."]], ({ engine }) =>
        Effect.gen(function* () {
          const { candidates } = yield* run();
          assert.strictEqual(candidates[0]?.text, "Good day.");
          assert.include(candidates[0]?.finished.warnings[0]?.message, `(${finding})`);
          assert.lengthOf(engine.requests, 2);
        }),
      ),
    );
  }

  it.effect("is followed by no third attempt: the better one is given with a warning", () =>
    Effect.gen(function* () {
      yield* withAnswers([loop, [eos]], ({ engine }) =>
        Effect.gen(function* () {
          const { candidates, usage, started } = yield* run();
          assert.lengthOf(engine.requests, 2);
          assert.strictEqual(candidates[0]?.text, "ha ".repeat(20));
          assert.strictEqual(started.parameters.seed, engine.requests[0]?.parameters.seed);
          assert.deepInclude(usage, { outputTokens: 21, discardedTokens: 1 });
          const [warning] = candidates[0]?.finished.warnings ?? [];
          assert.strictEqual(warning?.kind, "broken-answer");
          assert.match(warning?.message ?? "", /runaway repetition.*worse \(empty response\)/);
          assert.deepInclude(yield* counted, { retried: 1, recovered: 0, succeeded: 1 });
        }),
      );
      yield* withAnswers([[eos], loop], ({ engine }) =>
        Effect.gen(function* () {
          const { candidates, started } = yield* run();
          assert.lengthOf(engine.requests, 2);
          assert.strictEqual(candidates[0]?.text, "ha ".repeat(20));
          assert.strictEqual(started.parameters.seed, engine.requests[1]?.parameters.seed);
          assert.match(candidates[0]?.finished.warnings[0]?.message ?? "", /repetition.*first one \(empty response\)/);
        }),
      );
    }),
  );

  const kept: ReadonlyArray<readonly [string, Partial<GenerationTask>, Script?]> = [
    ["with a seed of its own", { sampling: { seed: 7 } }],
    ["that is greedy", { sampling: { temperature: 0 } }],
    [
      "that offers tools",
      { input: { ...question, tools: [{ name: "f", description: "", parameters: undefined }] } as never },
    ],
    ["for several answers", { sampling: { candidateCount: 2 } }],
    ["for verbatim output", { output: { ...task().output, verbatim: true } }],
    ["that goes on with a message", { input: { ...question, continueFinalMessage: true } as never }],
    ["that goes on over the end", { stop: { ...task().stop, ignoreEos: true } }],
    ["of a raw prompt", { input: { type: "prompt", text: "Hello there" } }],
    ["of tokens", { input: { type: "tokens", ids: [1, 2] } }],
    ["whose answer is well", {}, ["Good day."]],
  ];
  for (const [what, overrides, script = loop] of kept) {
    it.effect(`is left as it is in one ${what}`, () =>
      withAnswers(
        [script],
        ({ engine }) =>
          Effect.gen(function* () {
            const { candidates, usage } = yield* run(overrides);
            assert.lengthOf(engine.requests, candidates.length);
            assert.deepEqual(candidates[0]?.finished.warnings, []);
            assert.notProperty(usage, "discardedTokens");
            assert.deepInclude(yield* counted, { retried: 0, recovered: 0 });
          }),
        { model: { ...sampled, capabilities: { ...sampled.capabilities, tools: true } } },
      ),
    );
  }

  it.effect("is left as it is where that is switched off", () =>
    withAnswers(
      [loop],
      ({ engine }) =>
        Effect.gen(function* () {
          yield* run();
          assert.lengthOf(engine.requests, 1);
        }),
      { retriesBroken: false },
    ),
  );

  const budgets: ReadonlyArray<readonly [number, ReadonlyArray<number>]> = [
    [1000, [1000, 600]],
    [400, [400]],
  ];
  for (const [timeBudgetMs, given] of budgets) {
    it.effect(`of a time budget of ${timeBudgetMs} ms has ${given.length} attempts, the second in what is left`, () =>
      withAnswers([[{ pause: true }, ...loop], ["Good day."]], ({ engine }) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(run({ stop: { ...task().stop, timeBudgetMs } }));
          yield* TestClock.adjust(400);
          yield* engine.resume;
          yield* Fiber.join(fiber);
          assert.deepEqual(
            engine.requests.map((request) => request.timeBudgetMs),
            [...given],
          );
        }),
      ),
    );
  }

  for (const [which, scripts, firstTokenMs] of [
    ["second", [loop, [{ pause: true }, "Good day."]], 400],
    ["first", [loop, [{ pause: true }, eos]], 0],
  ] as const) {
    it.effect(`takes the time of both attempts where the ${which} answer is given`, () =>
      withAnswers(scripts, ({ engine }) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(run());
          yield* TestClock.adjust(400);
          yield* engine.resume;
          const { timings } = yield* Fiber.join(fiber);
          const { queueMs, timeToFirstTokenMs, decodeMs, totalMs } = timings;
          assert.deepEqual([totalMs, timeToFirstTokenMs], [400, firstTokenMs]);
          assert.strictEqual(queueMs + timeToFirstTokenMs + decodeMs, totalMs);
        }),
      ),
    );
  }

  it.effect("fails as any call where the engine is lost in the second attempt, with what both spent", () =>
    withAnswers([loop, ["Good ", { fail: new EngineLost({ model: "tiny" }) }]], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(run());
        assert.strictEqual(error._tag, "EngineLost");
        assert.strictEqual((error as EngineLost).progress?.usage.outputTokens, 21);
        assert.deepInclude(yield* counted, { outputTokens: 21, running: 0 });
      }),
    ),
  );
});

describe("a broken answer of a stream", () => {
  it.effect("is generated anew where it ended before its first chunk, and starts once", () =>
    withAnswers([[eos], ["Good ", "day."]], ({ engine }) =>
      Effect.gen(function* () {
        const events = yield* stream();
        assert.lengthOf(engine.requests, 2);
        assert.deepEqual(
          events.map(({ type }) => type),
          ["started", "chunk", "chunk", "finished"],
        );
        const last = events.at(-1);
        assert.strictEqual(last?.type === "finished" && last.warnings[0]?.kind, "regenerated");
        assert.deepInclude(last?.type === "finished" ? last.usage : {}, { outputTokens: 3, discardedTokens: 1 });
        assert.deepInclude(yield* counted, { retried: 1, recovered: 1 });
      }),
    ),
  );

  it.effect("says so where the second answer is empty too", () =>
    withAnswers([[eos]], ({ engine }) =>
      Effect.gen(function* () {
        const events = yield* stream();
        assert.lengthOf(engine.requests, 2);
        const last = events.at(-1);
        assert.strictEqual(last?.type === "finished" && last.warnings[0]?.kind, "broken-answer");
        assert.deepInclude(yield* counted, { retried: 1, recovered: 0 });
      }),
    ),
  );

  it.effect("stays the answer after its first chunk", () =>
    withAnswers([loop, ["Good day."]], ({ engine }) =>
      Effect.gen(function* () {
        const events = yield* stream();
        assert.lengthOf(engine.requests, 1);
        assert.lengthOf(events, 22);
        assert.deepInclude(yield* counted, { retried: 0 });
      }),
    ),
  );

  it.effect("holds nothing back to be judged: each chunk is out before the next token is there", () =>
    withAnswers([["ha ", { pause: true }, "ha "]], ({ engine }) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const first = yield* generations.stream(task({ input: question })).pipe(Stream.take(2), Stream.runCollect);
        assert.deepEqual(
          first.map(({ type }) => type),
          ["started", "chunk"],
        );
        assert.lengthOf(engine.dropped, 1);
      }),
    ),
  );
});
