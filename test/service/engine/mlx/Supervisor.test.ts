/** Supervision by the clock: scripted processes, and time that the test moves. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Stream } from "effect";
import { TestClock } from "effect/testing";

import type { EngineSettings } from "../../../../src/service/config/EngineConfig.ts";
import { ModelChanged } from "../../../../src/service/domain/errors.ts";
import type { TokenEngine, TokenEvent } from "../../../../src/service/engine/Engine.ts";
import { startEngine } from "../../../../src/service/engine/mlx/MlxEngine.ts";
import type { SequenceEvent } from "../../../../src/service/worker/protocol/sequence-events.ts";
import type { ToWorker } from "../../../../src/service/worker/protocol/to-worker.ts";
import { byteVocabulary } from "../../../support/byte-tokenizer.ts";
import { engineRequest } from "../../../support/engine-request.ts";
import {
  noMemory,
  type ScriptedWorker,
  type ScriptedWorkers,
  scriptedWorkers,
  wellBehaved,
} from "../../../support/scripted-worker.ts";
import { facts } from "../../../support/tasks.ts";

const settings: EngineSettings = {
  environment: {},
  maxRunning: 4,
  prefillSliceTokens: 256,
  kvCacheBytes: 2 ** 20,
  prefixCacheBytes: 0,
  maxAdapters: 1,
  speculation: "off",
  weights: "auto",
  takesTurns: false,
  loadTimeoutMs: 120_000,
  stallMs: 60_000,
  unresponsiveMs: 10_000,
};

const start = ({ spawn }: ScriptedWorkers, unchanged: Effect.Effect<void, ModelChanged> = Effect.void) =>
  startEngine(
    { spawn, settings, turns: undefined },
    facts(),
    byteVocabulary,
    { allowed: true, directory: undefined },
    unchanged,
    1024 ** 3,
  );

const step = (worker: ScriptedWorker | undefined, ...events: ReadonlyArray<SequenceEvent>): void =>
  worker?.say({ type: "step", events, memory: noMemory });

const admitted = (sequence: number): SequenceEvent => ({ type: "admitted", sequence, cachedPromptTokens: 0 });
const token = (sequence: number, tokenId = 65): SequenceEvent => ({ type: "token", sequence, tokenId });

const sequencesOf = (worker: ScriptedWorker | undefined): ReadonlyArray<number> =>
  (worker?.received ?? []).flatMap((message) => (message.type === "submit" ? [message.sequence] : []));

const generate = (engine: TokenEngine, id: string, events: TokenEvent[] = []) =>
  Effect.forkChild(Effect.exit(engine.generate(engineRequest(id), (event) => events.push(event) < 0)), {
    startImmediately: true,
  });

/** Seconds pass one by one, as they do. */
const seconds = (count: number, each: () => void = () => {}) =>
  Effect.gen(function* () {
    for (let second = 0; second < count; second++) {
      each();
      yield* TestClock.adjust("1 second");
    }
  });

const health = (engine: TokenEngine) =>
  Effect.map(Stream.runCollect(Stream.take(engine.health, 1)), ([first]) => first);

describe("an engine's process", () => {
  it.effect("is started anew after pauses that double, and at once again after a token", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(wellBehaved);
      const engine = yield* start(workers);
      yield* generate(engine, "a");
      const pauses: number[] = [];
      for (const expected of [200, 400, 800, 1_600]) {
        const before = workers.started.length;
        workers.started.at(-1)?.die("signal SIGSEGV");
        yield* TestClock.adjust(expected - 1);
        assert.lengthOf(workers.started, before, `${expected} ms`);
        yield* TestClock.adjust(1);
        assert.lengthOf(workers.started, before + 1, `${expected} ms`);
        pauses.push(expected);
      }
      yield* generate(engine, "b");
      const last = workers.started.at(-1);
      const [sequence = 0] = sequencesOf(last);
      step(last, admitted(sequence), token(sequence));
      last?.die("signal SIGSEGV");
      const before = workers.started.length;
      yield* TestClock.adjust(200);
      assert.lengthOf(workers.started, before + 1);
      assert.strictEqual((yield* engine.status).restarts, pauses.length + 1);
    }).pipe(Effect.scoped),
  );

  it.effect("that dies again and again while it idles is no reason to refuse for ever: a long life counts", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(wellBehaved);
      yield* start(workers);
      for (let death = 0; death < 8; death++) {
        yield* seconds(61);
        const before = workers.started.length;
        workers.started.at(-1)?.die("signal SIGKILL");
        yield* TestClock.adjust(200);
        assert.lengthOf(workers.started, before + 1, `death ${death + 1}`);
      }
    }).pipe(Effect.scoped),
  );

  it.effect("is given up after five that died while they loaded, and every later request is told why", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers((worker, message) => {
        if (workers.started.length === 1) wellBehaved(worker, message);
        else if (message.type === "load") worker.die("signal SIGKILL", "memory");
      });
      const engine = yield* start(workers);
      const waiting = yield* generate(engine, "waits");
      workers.started[0]?.die("signal SIGKILL");
      yield* seconds(60);
      assert.lengthOf(workers.started, 1 + 5);
      const fault = yield* engine.failure;
      assert.strictEqual(fault._tag, "OutOfMemory");
      const told = yield* Effect.flip(Effect.flatten(Fiber.join(waiting)));
      assert.strictEqual(told._tag, "EngineRestarting", "nobody is kept waiting after five deaths");
      assert.deepStrictEqual(yield* Fiber.join(yield* generate(engine, "late")), Exit.fail(fault));
    }).pipe(Effect.scoped),
  );

  it.effect("has its time to load, and no more", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(() => {});
      const starting = yield* Effect.forkChild(Effect.flip(start(workers)), { startImmediately: true });
      yield* seconds(121);
      const fault = yield* Fiber.join(starting);
      assert.strictEqual(fault._tag, "EngineStartFailed");
      assert.match(fault.message, /more than 120000 ms/);
      assert.isTrue(workers.started[0]?.closed);
    }).pipe(Effect.scoped),
  );

  it.effect("is not given requests where the files have changed while it read them", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(wellBehaved);
      const changed = new ModelChanged({ model: "demo", retryAfterMs: 1_000 });
      let asked = 0;
      const unchanged = Effect.suspend(() => (++asked > 1 ? Effect.fail(changed) : Effect.void));
      assert.deepStrictEqual(yield* Effect.flip(start(workers, unchanged)), changed);
      assert.deepStrictEqual(sequencesOf(workers.started[0]), []);
    }).pipe(Effect.scoped),
  );

  it.effect("computes slices of half the size after the machine had no memory for it", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(wellBehaved);
      yield* start(workers);
      workers.started[0]?.die("signal SIGKILL", "memory");
      yield* TestClock.adjust(200);
      const slices = workers.started.map(({ received }) => sliceTokensOf(received));
      assert.deepStrictEqual(slices, [256, 128]);
    }).pipe(Effect.scoped),
  );
});

const sliceTokensOf = (messages: ReadonlyArray<ToWorker>): number | undefined =>
  messages.flatMap((message) => (message.type === "load" ? [message.limits.prefillSliceTokens] : []))[0];

describe("an engine's process that delivers nothing", () => {
  it.effect("is told as stalled, and ended when it has had its time", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers((worker, message) => {
        if (message.type === "load") wellBehaved(worker, message);
      });
      const engine = yield* start(workers);
      assert.strictEqual(yield* health(engine), "serving");
      yield* seconds(12);
      assert.strictEqual(yield* health(engine), "stalled", "it does not answer");
      assert.isFalse(workers.started[0]?.killed);
      yield* seconds(50);
      assert.isTrue(workers.started[0]?.killed);
      assert.isAtLeast(workers.started.length, 2);
    }).pipe(Effect.scoped),
  );

  it.effect("although it answers is found by what comes of its sequences", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(wellBehaved);
      const engine = yield* start(workers);
      const waiting = yield* generate(engine, "a");
      const [sequence = 0] = sequencesOf(workers.started[0]);
      step(workers.started[0], admitted(sequence));
      // Steps without anything in them are no progress.
      yield* seconds(62, () => step(workers.started[0]));
      assert.isTrue(workers.started[0]?.killed);
      yield* seconds(2);
      assert.lengthOf(sequencesOf(workers.started[1]), 1, "it is tried once more");
      workers.started[1]?.die("signal SIGSEGV");
      const exit = yield* Fiber.join(waiting);
      assert.isTrue(Exit.isFailure(exit));
    }).pipe(Effect.scoped),
  );

  it.effect("for one sequence alone ends that one, and leaves the others alone", () =>
    Effect.gen(function* () {
      const workers = scriptedWorkers(wellBehaved);
      const engine = yield* start(workers);
      const stuck = yield* generate(engine, "stuck");
      yield* generate(engine, "well");
      const [first = 0, second = 0] = sequencesOf(workers.started[0]);
      step(workers.started[0], admitted(first), admitted(second), token(first));
      yield* seconds(62, () => step(workers.started[0], token(second)));
      const failure = Exit.isFailure(yield* Fiber.join(stuck));
      assert.isTrue(failure);
      assert.isFalse(workers.started[0]?.killed);
      assert.deepInclude(workers.started[0]?.received, { type: "cancel", sequence: first });
    }).pipe(Effect.scoped),
  );
});
