/**
 * Engine processes that die, stop and come back, with the real engine: who is to blame ends alone, and everybody else is
 * answered. Peers lose all their requests together with the one that was the cause.
 */
import { mkdtempSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Fiber, Stream } from "effect";

import { ModelChanged } from "../../../../src/service/domain/errors.ts";
import type { Engine, EngineEvent, EngineRequest } from "../../../../src/service/engine/Engine.ts";
import type { EngineHealth } from "../../../../src/service/engine/EngineStatus.ts";
import { engineProcesses } from "../../../support/engine-processes.ts";
import { engineRequest } from "../../../support/engine-request.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";
import { mlxEngines, startMlxEngine } from "../../../support/mlx-engines.ts";

const shape = { modelType: "qwen2", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 256 } as const;

const kill = (signal: NodeJS.Signals = "SIGKILL"): void => {
  for (const pid of engineProcesses()) process.kill(pid, signal);
};

const tokensOf = (events: ReadonlyArray<EngineEvent>): ReadonlyArray<number> =>
  events.flatMap((event) => (event.type === "output" ? event.tokenIds : []));

const run = (engine: Engine, one: EngineRequest, onEvent: (event: EngineEvent) => void = () => {}) =>
  Effect.suspend(() => {
    const events: EngineEvent[] = [];
    const all = (event: EngineEvent): void => {
      events.push(event);
      onEvent(event);
    };
    return Effect.as(engine.generate(one, all), events);
  });

const long = (id: string): EngineRequest => engineRequest(id, { maxOutputTokens: 150 });

/** Ends every process that computes it, with its first token: its callers never let such a request come here. */
const deadly = (id: string): EngineRequest => ({ ...engineRequest(id), logitBias: null as never });

/** Waits until the engine's health is this. */
const untilHealth = (engine: Engine, wanted: EngineHealth) =>
  Stream.runDrain(Stream.takeUntil(engine.health, (health) => health === wanted));

describe("a death", () => {
  it.live("is the end of the request that dies with the next process too, and of nobody else", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const innocent = (seed: number) => engineRequest(`innocent ${seed}`, { seed, temperature: 1 });
      const seeds = [1, 2, 3, 4, 5];
      const expected = yield* Effect.forEach(seeds, (seed) => Effect.map(run(engine, innocent(seed)), tokensOf));
      // Nothing streams before the process is gone: all of them have been given to it.
      kill("SIGSTOP");
      const culprit = yield* Effect.forkChild(Effect.flip(run(engine, deadly("culprit"))));
      const answers = yield* Effect.forkChild(
        Effect.forEach(seeds, (seed) => Effect.map(run(engine, innocent(seed)), tokensOf), {
          concurrency: "unbounded",
        }),
      );
      yield* Effect.sleep("200 millis");
      kill("SIGCONT");
      const lost = yield* Fiber.join(culprit);
      assert.deepInclude(lost, { _tag: "EngineLost", how: "died", deaths: 2 });
      assert.match(lost.message, /likely the cause; no output was sent/);
      assert.deepStrictEqual(yield* Fiber.join(answers), expected);
      assert.strictEqual((yield* engine.status).restarts, 2, "the cause was not given to a third process");
      // And what comes later finds an engine.
      assert.deepStrictEqual(tokensOf(yield* run(engine, innocent(3))), expected[2]);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("of a process with several causes is told of each of them, and the others are answered", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const expected = tokensOf(yield* run(engine, engineRequest("expected")));
      kill("SIGSTOP");
      const guilty = yield* Effect.forEach(["a", "b", "c"], (id) =>
        Effect.forkChild(Effect.flip(run(engine, deadly(id)))),
      );
      const innocent = yield* Effect.forkChild(run(engine, engineRequest("innocent")));
      yield* Effect.sleep("200 millis");
      kill("SIGCONT");
      for (const fiber of guilty) assert.strictEqual((yield* Fiber.join(fiber))._tag, "EngineLost");
      assert.deepStrictEqual(tokensOf(yield* Fiber.join(innocent)), expected);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("in the middle of what nobody has seen a part of is not noticed: it is computed again", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      const seeded = (id: string, seed: number) =>
        ({ ...engineRequest(id, { temperature: 1, seed, maxOutputTokens: 60 }), whole: true }) as const;
      const seeds = [1, 2, 3];
      const expected = yield* Effect.forEach(seeds, (seed) => Effect.map(run(engine, seeded("e", seed)), tokensOf));
      let tokens = 0;
      const answers = yield* Effect.forEach(
        seeds,
        (seed) =>
          run(engine, seeded(`w${seed}`, seed), ({ type }) => {
            if (type === "output" && ++tokens === 60) kill();
          }),
        { concurrency: "unbounded" },
      );
      assert.deepStrictEqual(answers.map(tokensOf), expected);
      assert.strictEqual((yield* engine.status).restarts, 1);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live(
    "in a row does not end the engine while tokens come in between",
    () =>
      Effect.gen(function* () {
        const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
        for (let death = 1; death <= 7; death++) {
          yield* run(engine, engineRequest(`${death}`));
          kill();
          yield* untilHealth(engine, "restarting");
          yield* untilHealth(engine, "serving");
        }
        assert.strictEqual((yield* engine.status).restarts, 7);
      }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
    60_000,
  );
});

describe("a GPU that gives a command up", () => {
  const directory = mkdtempSync(join(tmpdir(), "mlxd-gpu-"));
  const limits = join(directory, "limits");
  /** Dies on a signal as MLX does when a command buffer fails, and notes the limits that it was given. */
  const preload = join(directory, "preload.mjs");
  writeFileSync(
    preload,
    `import { appendFileSync, writeSync } from "node:fs";
    process.on("message", (message) => {
      if (message.type === "load") appendFileSync(${JSON.stringify(limits)}, message.limits.prefillSliceTokens + "\\n");
    });
    process.on("SIGUSR2", () => {
      writeSync(2, "[METAL] Command buffer execution failed: Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)\\n");
      process.abort();
    });`,
  );
  const withPreload = mlxEngines({
    prefillSliceTokens: 100,
    environment: { ...process.env, NODE_OPTIONS: `--import=${preload}` },
  });

  it.live("is told to who had a part of the output, and the next process is given smaller slices", () =>
    Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
      let signalled = false;
      const lost = yield* Effect.flip(
        // Long enough that it has not ended by the time the process handles the signal.
        run(engine, engineRequest("stream", { maxOutputTokens: 3_000 }), ({ type }) => {
          if (type === "output" && !signalled) kill("SIGUSR2");
          signalled ||= type === "output";
        }),
      );
      assert.deepInclude(lost, { _tag: "EngineLost", how: "died" });
      assert.include(lost.message, "the GPU did not finish a command in time");
      yield* run(engine, engineRequest("next"));
      assert.deepStrictEqual(readFileSync(limits, "utf8").trim().split("\n"), ["100", "50"]);
    }).pipe(Effect.scoped, Effect.provide(withPreload)),
  );
});

describe("an engine that does not get on", () => {
  it.live(
    "is not well, is ended, and what it had is answered by the next, though it was idle when it stopped",
    () =>
      Effect.gen(function* () {
        const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
        yield* untilHealth(engine, "serving");
        const [pid] = engineProcesses();
        kill("SIGSTOP");
        yield* untilHealth(engine, "stalled");
        const queued = yield* Effect.forkChild(run(engine, engineRequest("queued")));
        yield* untilHealth(engine, "restarting");
        yield* untilHealth(engine, "serving");
        assert.strictEqual(tokensOf(yield* Fiber.join(queued)).length, 12);
        assert.notStrictEqual(engineProcesses()[0], pid);
      }).pipe(Effect.scoped, Effect.provide(mlxEngines({ unresponsiveMs: 1_000, stallMs: 3_000 }))),
    60_000,
  );

  it.live(
    "is well again when it goes on in time, and its streams go on",
    () =>
      Effect.gen(function* () {
        const engine = yield* startMlxEngine(writeRandomCheckpoint(shape));
        const streaming = yield* Deferred.make<void>();
        const stream = yield* Effect.forkChild(
          run(engine, long("stream"), ({ type }) => {
            if (type === "output") Deferred.doneUnsafe(streaming, Exit.void);
          }),
        );
        yield* Deferred.await(streaming);
        kill("SIGSTOP");
        yield* untilHealth(engine, "stalled");
        kill("SIGCONT");
        yield* untilHealth(engine, "serving");
        assert.strictEqual(tokensOf(yield* Fiber.join(stream)).length, 150);
        assert.strictEqual((yield* engine.status).restarts, 0);
      }).pipe(Effect.scoped, Effect.provide(mlxEngines({ unresponsiveMs: 1_000, stallMs: 120_000 }))),
    120_000,
  );
});

describe("files that break under an engine", () => {
  it.live("end it with the reason, for those who wait and for those who come", () =>
    Effect.gen(function* () {
      const directory = writeRandomCheckpoint(shape);
      const engine = yield* startMlxEngine(directory);
      kill("SIGSTOP");
      const waiting = yield* Effect.forkChild(Effect.flip(run(engine, engineRequest("waiting"))));
      yield* Effect.sleep("200 millis");
      truncateSync(join(directory, "model.safetensors"), 5000);
      kill();
      const fault = yield* engine.failure;
      assert.deepInclude(fault, { _tag: "ModelBroken" });
      assert.match(fault.message, /model\.safetensors is truncated/);
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "ModelBroken");
      assert.strictEqual((yield* Effect.flip(run(engine, engineRequest("late"))))._tag, "ModelBroken");
      assert.deepStrictEqual(engineProcesses(), []);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );

  it.live("and are gone altogether are told as missing", () =>
    Effect.gen(function* () {
      const directory = writeRandomCheckpoint(shape);
      const engine = yield* startMlxEngine(directory);
      renameSync(join(directory, "model.safetensors"), join(directory, "elsewhere"));
      kill();
      assert.match((yield* engine.failure).message, /no safetensors file/);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines())),
  );
});

describe("a checkpoint that changed", () => {
  const changed = new ModelChanged({ model: "tiny", retryAfterMs: 1_000 });

  it.live.each([
    ["before its process read it", 1],
    ["while its process read it", 2],
  ] as const)("%s is not served", ([, at]) => {
    let looks = 0;
    const unchanged = Effect.suspend(() => (++looks === at ? Effect.fail(changed) : Effect.void));
    return Effect.gen(function* () {
      const error = yield* Effect.flip(startMlxEngine(writeRandomCheckpoint(shape), unchanged));
      assert.strictEqual(error, changed);
      assert.strictEqual(looks, at);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines()));
  });

  it.live("under a process that dies is not served by the next one, and whoever waits for it is told", () => {
    let isChanged = false;
    const unchanged = Effect.suspend(() => (isChanged ? Effect.fail(changed) : Effect.void));
    return Effect.gen(function* () {
      const engine = yield* startMlxEngine(writeRandomCheckpoint(shape), unchanged);
      yield* run(engine, engineRequest("before"));
      kill("SIGSTOP");
      const waiting = yield* Effect.forkChild(Effect.flip(run(engine, engineRequest("waiting"))));
      yield* Effect.sleep("100 millis");
      isChanged = true;
      kill();
      assert.strictEqual(yield* Fiber.join(waiting), changed);
      assert.strictEqual(yield* engine.failure, changed);
      assert.strictEqual(yield* Effect.flip(run(engine, engineRequest("after"))), changed);
      assert.lengthOf(engineProcesses(), 0);
    }).pipe(Effect.scoped, Effect.provide(mlxEngines()));
  });
});
