import { execFileSync } from "node:child_process";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Cause, Deferred, Effect, Exit, Fiber } from "effect";

import type { Engine, EngineEvent, EngineRequest } from "../../../../src/service/engine/Engine.ts";
import { constraintGrammar } from "../../../../src/service/output/grammar/constraint-grammar.ts";
import { decodeTokens } from "../../../../src/service/prompt/detokenizer.ts";
import { engineProcesses } from "../../../support/engine-processes.ts";
import { byteVocabulary } from "../../../support/byte-tokenizer.ts";
import { engineRequest as request } from "../../../support/engine-request.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";
import { mlxEngines, startMlxEngine } from "../../../support/mlx-engines.ts";

const shape = { modelType: "qwen2", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 256 } as const;

const tokensOf = (events: ReadonlyArray<EngineEvent>): ReadonlyArray<number> =>
  events.flatMap((event) => (event.type === "output" ? event.tokenIds : []));

const run = (engine: Engine, one: EngineRequest) =>
  Effect.suspend(() => {
    const events: EngineEvent[] = [];
    return Effect.as(
      engine.generate(one, (event) => void events.push(event)),
      events,
    );
  });

describe("the mlx engine", () => {
  it.live("computes in a process of its own, which ends with its scope", () =>
    Effect.gen(function* () {
      const directory = writeRandomCheckpoint(shape);
      yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* startMlxEngine(directory);
          assert.strictEqual(engineProcesses().length, 1);
          const events = yield* run(engine, request("a"));
          assert.deepStrictEqual(
            [events[0]?.type, events.at(-1)?.type, tokensOf(events).length],
            ["admitted", "finished", 12],
          );
          // What the system says of the process, which has the thread of the grammars in it as well.
          const [pid] = engineProcesses();
          const kibibytes = Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }));
          const { residentBytes } = yield* engine.status;
          assert.isAbove(residentBytes, 0.7 * 1024 * kibibytes);
          assert.isBelow(residentBytes, 1.3 * 1024 * kibibytes);
          assert.strictEqual((yield* engine.status).device, process.platform === "darwin" ? "metal" : "cpu");
        }),
      );
      assert.deepStrictEqual(engineProcesses(), []);
    }).pipe(Effect.provide(mlxEngines())),
  );

  it.live("ends a request alone whose reader, or whose caller, throws", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const neighbour = yield* Effect.forkChild(run(engine, request("neighbour", { maxOutputTokens: 400 })));
      const thrown = yield* Effect.exit(
        engine.generate(request("bad", { maxOutputTokens: 4000 }), (event) => {
          if (event.type === "output") throw new Error("of a bug");
        }),
      );
      assert.isTrue(Exit.isFailure(thrown) && Cause.hasDies(thrown.cause));
      assert.match(Cause.pretty(Exit.isFailure(thrown) ? thrown.cause : Cause.empty), /of a bug/);
      assert.lengthOf(tokensOf(yield* Fiber.join(neighbour)), 400);
      // It was dropped in the process too, and that is the same one.
      assert.lengthOf(tokensOf(yield* run(engine, request("next"))), 12);
      assert.strictEqual((yield* engine.status).restarts, 0);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("ends a request whose reader throws at the end, or when it is cancelled", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const atTheEnd = yield* Effect.exit(
        engine.generate(request("end"), (event) => {
          if (event.type === "finished") throw new Error("of a bug");
        }),
      );
      assert.isTrue(Exit.isFailure(atTheEnd) && Cause.hasDies(atTheEnd.cause));
      const streaming = yield* Deferred.make<void>();
      const cancelled = yield* Effect.forkChild(
        Effect.exit(
          engine.generate(request("cancelled", { maxOutputTokens: 4000 }), (event) => {
            if (event.type === "output") Deferred.doneUnsafe(streaming, Exit.void);
            if (event.type === "finished") throw new Error("of a bug");
          }),
        ),
      );
      yield* Deferred.await(streaming);
      assert.isTrue(yield* engine.cancel("cancelled"));
      const exit = yield* Fiber.join(cancelled);
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause));
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("fails a stream whose process is killed and replays what had not streamed", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const expected = tokensOf(yield* run(engine, request("expected")));
      const streaming = yield* Deferred.make<void>();
      const lost = yield* Effect.forkChild(
        Effect.flip(
          engine.generate(request("lost", { maxOutputTokens: 4000 }), (event) => {
            if (event.type === "output") Deferred.doneUnsafe(streaming, Exit.void);
          }),
        ),
      );
      yield* Deferred.await(streaming);
      const [pid = 0] = engineProcesses();
      process.kill(pid, "SIGKILL");
      // Sent to a process that is already dead: nothing of it can have streamed.
      const queued = yield* Effect.forkChild(run(engine, request("queued")));
      assert.strictEqual((yield* Fiber.join(lost))._tag, "EngineLost");
      assert.deepStrictEqual(tokensOf(yield* Fiber.join(queued)), expected);
      assert.strictEqual((yield* engine.status).restarts, 1);
      assert.notStrictEqual(engineProcesses()[0], pid);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("holds to a constraint, also on a process that does not know the vocabulary yet", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const constraint = {
        grammar: constraintGrammar({ type: "regex", pattern: "[ab]{3}(yes|no)" }),
        markers: false,
        reasoning: undefined,
      };
      const held = (id: string, seed: number) => ({ ...request(id, { seed, temperature: 1 }), constraint });
      const assertHeld = (events: ReadonlyArray<EngineEvent>) => {
        assert.match(decodeTokens(byteVocabulary, tokensOf(events), { skipSpecialTokens: true }), /^[ab]{3}(yes|no)$/);
        const last = events.at(-1);
        assert.strictEqual(last?.type === "finished" && last.reason, "constraint-complete");
      };
      assertHeld(yield* run(engine, held("a", 1)));
      const [pid = 0] = engineProcesses();
      process.kill(pid, "SIGKILL");
      const after = yield* Effect.all(
        [2, 3, 4].map((seed) => run(engine, held(`b${seed}`, seed))),
        { concurrency: "unbounded" },
      );
      for (const events of after) assertHeld(events);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("gives a seed the same text alone, among others and on a new process", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const seeded = (id: string, seed: number) => request(id, { temperature: 1.3, topP: 0.95, seed });
      const alone = tokensOf(yield* run(engine, seeded("alone", 7)));
      const together = yield* Effect.forEach([1, 7, 2, 7], (seed, index) => run(engine, seeded(`${index}`, seed)), {
        concurrency: "unbounded",
      });
      const [first, second, third, fourth] = together.map(tokensOf);
      assert.deepStrictEqual(second, alone);
      assert.deepStrictEqual(fourth, alone);
      assert.notDeepEqual(first, alone);
      assert.notDeepEqual(third, first);
      process.kill(engineProcesses()[0] ?? 0, "SIGKILL");
      assert.deepStrictEqual(tokensOf(yield* run(engine, seeded("after", 7))), alone);
      assert.strictEqual((yield* engine.status).restarts, 1);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("drops an interrupted request and goes on with the others", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const streaming = yield* Deferred.make<void>();
      const fiber = yield* Effect.forkChild(
        engine.generate(request("left", { maxOutputTokens: 4000 }), (event) => {
          if (event.type === "output") Deferred.doneUnsafe(streaming, Exit.void);
        }),
      );
      yield* Deferred.await(streaming);
      yield* Fiber.interrupt(fiber);
      yield* run(engine, request("other"));
      // A last step tells that nothing is computed any more.
      yield* Effect.sleep("200 millis");
      assert.strictEqual((yield* engine.status).kvCacheBytes, 0);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("cuts the output at a stop sequence and says so", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const text = (events: ReadonlyArray<EngineEvent>) =>
        events.map((event) => (event.type === "output" ? event.text : "")).join("");
      const whole = text(yield* run(engine, request("whole", { maxOutputTokens: 60 })));
      const stop = whole.slice(9, 12);
      const events = yield* run(engine, request("cut", { maxOutputTokens: 60, stopSequences: [stop] }));
      assert.strictEqual(text(events), whole.slice(0, whole.indexOf(stop)));
      const last = events.at(-1);
      assert.deepInclude(last, { type: "finished", reason: "stop-sequence" });
      assert.isBelow(tokensOf(events).length, 40);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  const broken: ReadonlyArray<readonly [string, (directory: string) => void, RegExp]> = [
    ["no config", (directory) => rmSync(join(directory, "config.json")), /config\.json is missing/],
    ["a config that is no JSON", (directory) => writeFileSync(join(directory, "config.json"), "{"), /not valid JSON/],
    ["no weights", (directory) => rmSync(join(directory, "model.safetensors")), /no safetensors file/],
    [
      "truncated weights",
      (directory) => truncateSync(join(directory, "model.safetensors"), 5000),
      /model\.safetensors is truncated/,
    ],
    [
      "a shard too few",
      (directory) => {
        const index = { weight_map: { "model.norm.weight": "model-2-of-2.safetensors" } };
        writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify(index));
      },
      /index\.json names model-2-of-2\.safetensors, which is missing/,
    ],
  ];
  for (const [what, damage, reason] of broken) {
    it.live(`refuses a checkpoint with ${what} and leaves no process`, () =>
      Effect.gen(function* () {
        const directory = writeRandomCheckpoint(shape);
        damage(directory);
        const error = yield* Effect.flip(Effect.scoped(startMlxEngine(directory)));
        assert.strictEqual(error._tag, "ModelBroken");
        assert.match(error.message, reason);
        assert.notInclude(error.message, directory);
        assert.deepStrictEqual(engineProcesses(), []);
      }).pipe(Effect.provide(mlxEngines())),
    );
  }

  const misfits: ReadonlyArray<readonly [string, Record<string, unknown>, RegExp]> = [
    ["an unknown architecture", { model_type: "nonesuch" }, /model_type "nonesuch" is not supported; known: llama/],
    ["a missing key", { hidden_size: undefined }, /hidden_size is missing/],
    ["another layer count", { num_hidden_layers: 3 }, /tensor model\.layers\.2\.\S+ is missing/],
    ["fewer layers than its weights", { num_hidden_layers: 1 }, /tensor model\.layers\.1\.\S+ has no place in a model/],
    ["a quantisation that is not known", { quantization_config: { quant_method: "gptq" } }, /quant_method "gptq"/],
    ["another width", { intermediate_size: 80 }, /has shape \[64, 32\], expected \[80, 32\]/],
  ];
  for (const [what, overrides, reason] of misfits) {
    it.live(`refuses a config with ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(startMlxEngine(writeRandomCheckpoint(shape, overrides))));
        assert.match(error.message, reason);
      }).pipe(Effect.provide(mlxEngines())),
    );
  }
});
