/**
 * One row of a batch that gets nothing any more, through the real scheduler and real supervision: its request ends alone
 * after the stall limit, and the rows beside it come to the ends that they have without it. Time is the test's.
 */
import { assert, describe, it } from "@effect/vitest";
import { Cause, Effect, Exit, Fiber } from "effect";
import { TestClock } from "effect/testing";

import type { TokenEvent } from "../../../../src/service/engine/Engine.ts";
import { startEngine } from "../../../../src/service/engine/mlx/MlxEngine.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { type Allowed, Constraints } from "../../../../src/service/worker/constraints/constraints.ts";
import type { Tensor } from "../../../../src/service/worker/mlx.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import type { Sequence } from "../../../../src/service/worker/sequence/sequence.ts";
import { byteVocabulary } from "../../../support/byte-tokenizer.ts";
import { engineRequest } from "../../../support/engine-request.ts";
import { noMemory, type ScriptedWorker, scriptedWorkers, wellBehaved } from "../../../support/scripted-worker.ts";
import { facts } from "../../../support/tasks.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";

const shape = { modelType: "qwen2", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 256 } as const;

/** A constraint whose masks never come: its row rests in every step from the moment it is held. */
class NeverReady extends Constraints {
  /** Sequence that it holds. */
  stuck = 0;

  override concerns(rows: ReadonlyArray<Sequence | undefined>): boolean {
    return rows.some((sequence) => sequence?.id === this.stuck);
  }

  override apply(logits: Tensor, fed: Tensor | undefined, rows: ReadonlyArray<Sequence | undefined>): Allowed {
    const held = [...rows.entries()].filter(([, sequence]) => sequence?.id === this.stuck).map(([row]) => row);
    return { logits, resting: new Set(fed === undefined ? [] : held) };
  }

  override advance(_fed: Tensor, rows: ReadonlyArray<Sequence | undefined>): ReadonlySet<number> {
    return new Set([...rows.keys()].filter((row) => rows[row]?.id === this.stuck));
  }
}

const settings = {
  environment: {},
  maxRunning: 4,
  prefillSliceTokens: 64,
  kvCacheBytes: 2 ** 26,
  prefixCacheBytes: 0,
  maxAdapters: 1,
  speculation: "off",
  weights: "auto",
  takesTurns: false,
  loadTimeoutMs: 60_000,
  stallMs: 30_000,
  unresponsiveMs: 10_000,
} as const;

/** The real scheduler in the place of a process: a step when the test asks for one. */
const makeEngine = Effect.fnUntraced(function* (directory: string, constraints: Constraints) {
  const model = yield* Effect.promise(() => loadCheckpoint(directory));
  const schedulers = new Map<ScriptedWorker, Scheduler>();
  const workers = scriptedWorkers((worker, message) => {
    if (message.type === "load") {
      schedulers.set(worker, new Scheduler(model, message.limits, () => performance.now(), { constraints }));
    }
    if (message.type === "submit") schedulers.get(worker)?.submit(message);
    if (message.type === "cancel") schedulers.get(worker)?.cancel(message.sequence);
    wellBehaved(worker, message);
  });
  const none = { allowed: false, directory: undefined };
  const engine = yield* startEngine(
    { spawn: workers.spawn, settings, turns: undefined },
    facts({ directory }),
    byteVocabulary,
    none,
    Effect.void,
    1024 ** 3,
  );
  const step = (): void => {
    const worker = workers.started.at(-1);
    const scheduler = worker && schedulers.get(worker);
    if (worker === undefined || scheduler === undefined || scheduler.idle) return;
    scheduler.step();
    worker.say({ type: "step", events: scheduler.takeEvents(), memory: noMemory });
  };
  return { engine, step, workers };
});

const tokensOf = (events: ReadonlyArray<TokenEvent>): ReadonlyArray<number> =>
  events.flatMap((event) => (event.type === "token" ? [event.tokenId] : []));

describe("a row that gets nothing any more", () => {
  it.effect("ends alone with what it had, while the rows beside it go on as they would without it", () =>
    Effect.gen(function* () {
      const directory = writeRandomCheckpoint(shape);
      const outputs = Effect.fnUntraced(function* (withStuck: boolean) {
        const constraints = new NeverReady(shape.vocabularySize, settings.maxRunning);
        const { engine, step, workers } = yield* makeEngine(directory, constraints);
        const events = new Map(["first", "stuck", "last"].map((id) => [id, [] as TokenEvent[]]));
        const run = (id: string, seed: number) =>
          Effect.forkChild(
            Effect.exit(
              engine.generate(engineRequest(id, { maxOutputTokens: 50, seed, temperature: 1 }), (event) => {
                events.get(id)?.push(event);
                return false;
              }),
            ),
            { startImmediately: true },
          );
        const first = yield* run("first", 1);
        const stuck = withStuck ? yield* run("stuck", 2) : undefined;
        const last = yield* run("last", 3);
        for (let second = 0; second < 60; second++) {
          if (withStuck && second === 10) constraints.stuck = 2;
          step();
          yield* TestClock.adjust("1 second");
        }
        for (const fiber of [first, last]) assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.void);
        assert.lengthOf(workers.started, 1, "nobody's process was ended for it");
        return { events, stuck: stuck && (yield* Fiber.join(stuck)) };
      }, Effect.scoped);
      const alone = yield* outputs(false);
      const beside = yield* outputs(true);
      for (const id of ["first", "last"]) {
        const tokens = tokensOf(beside.events.get(id) ?? []);
        assert.lengthOf(tokens, 50);
        assert.deepStrictEqual(tokens, tokensOf(alone.events.get(id) ?? []));
      }
      const had = tokensOf(beside.events.get("stuck") ?? []).length;
      assert.isTrue(had > 0 && had < 12, `${had} tokens`);
      assert.isTrue(beside.stuck !== undefined && Exit.isFailure(beside.stuck));
      if (beside.stuck === undefined || Exit.isSuccess(beside.stuck)) return;
      assert.deepInclude(Cause.squash(beside.stuck.cause), { _tag: "EngineLost", how: "stalled" });
    }),
  );
});
