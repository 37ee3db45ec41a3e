/** One engine computes at a time: the order of turns by a clock of the test's, and two real engines that share a device. */
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { engineEnvironment, EngineConfig, hasLittleMemory } from "../../../../src/service/config/EngineConfig.ts";
import { ComputeTurns, turnMs, type TurnPlace } from "../../../../src/service/engine/mlx/ComputeTurns.ts";
import { startEngine } from "../../../../src/service/engine/mlx/MlxEngine.ts";
import { type SpawnWorker, spawnWorker } from "../../../../src/service/engine/mlx/WorkerProcess.ts";
import { byteVocabulary } from "../../../support/byte-tokenizer.ts";
import { engineRequest } from "../../../support/engine-request.ts";
import { facts } from "../../../support/tasks.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";

/** Turns among processes that stop when the test says so; what they were told, in order. */
const create = () => {
  let now = 0;
  let timers: { readonly at: number; readonly call: () => void }[] = [];
  const told: string[] = [];
  const turns = new ComputeTurns({
    now: () => now,
    after: (ms, call) => void timers.push({ at: now + ms, call }),
  });
  const join = (name: string): TurnPlace =>
    turns.join({ start: () => void told.push(`${name} starts`), stop: () => void told.push(`${name} stops`) });
  const pass = (ms: number): void => {
    now += ms;
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { call } of due) call();
  };
  return { told, pass, a: join("a"), b: join("b"), c: join("c") };
};

describe("turns to compute", () => {
  it("are the only one's for as long as it likes", () => {
    const { told, pass, a } = create();
    a.want();
    pass(100 * turnMs);
    a.rest();
    a.want();
    assert.deepEqual(told, ["a starts"]);
  });

  it("pass on after a while where others wait, in their order, and never before the one has stopped", () => {
    const { told, pass, a, b, c } = create();
    a.want();
    b.want();
    c.want();
    pass(turnMs - 1);
    assert.deepEqual(told, ["a starts"]);
    pass(1);
    assert.deepEqual(told, ["a starts", "a stops"]);
    pass(10 * turnMs);
    a.stopped();
    assert.deepEqual(told.splice(0), ["a starts", "a stops", "b starts"]);
    pass(turnMs);
    b.stopped();
    pass(turnMs);
    c.stopped();
    assert.deepEqual(told, ["b stops", "c starts", "c stops", "a starts"]);
  });

  it("pass on at once from one that has nothing to do, or had its time", () => {
    const { told, pass, a, b } = create();
    a.want();
    a.rest();
    b.want();
    a.stopped();
    assert.deepEqual(told.splice(0), ["a starts", "a stops", "b starts"]);
    pass(2 * turnMs);
    a.want();
    assert.deepEqual(told, ["b stops"]);
  });

  it("pass on when the one that has it dies, also while it is to stop", () => {
    const { told, pass, a, b, c } = create();
    a.want();
    b.want();
    pass(turnMs);
    a.leave();
    a.stopped();
    assert.deepEqual(told, ["a starts", "a stops", "b starts"]);
    c.want();
    c.leave();
    pass(10 * turnMs);
    assert.deepEqual(told, ["a starts", "a stops", "b starts"], "nobody waits any more");
  });

  it("are taken by default on Macs of up to 32 GiB", () => {
    const machine = (gibibytes: number, onGpu: boolean) =>
      hasLittleMemory({
        totalBytes: gibibytes * 1024 ** 3,
        gpuWorkingSetBytes: onGpu ? gibibytes * 2 ** 29 : undefined,
      });
    assert.isTrue(machine(16, true));
    assert.isTrue(machine(32, true));
    assert.isFalse(machine(36, true));
    assert.isFalse(machine(16, false));
  });
});

const shape = { modelType: "qwen2", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 256 } as const;

describe("two engines that take turns", () => {
  it.live("never compute at once, and both come to their ends with what they say alone", () =>
    Effect.gen(function* () {
      const directory = writeRandomCheckpoint(shape);
      const settings = yield* EngineConfig;
      const turns = new ComputeTurns();
      let holder: string | undefined;
      let changes = 0;
      const outOfTurn: string[] = [];
      /** Sees which of them may compute, and what they tell out of their turn. */
      const watched =
        (name: string): SpawnWorker =>
        (_, listener) =>
          Effect.map(
            spawnWorker(engineEnvironment(), {
              ...listener,
              onMessage: (message) => {
                if (message.type === "stopped") holder = undefined;
                const computed = message.type === "step" && message.events.some(({ type }) => type === "token");
                if ((computed || message.type === "ready") && holder !== name) outOfTurn.push(message.type);
                listener.onMessage(message);
              },
            }),
            (worker) => ({
              ...worker,
              send: (message) => {
                if (message.type === "start") {
                  assert.isUndefined(holder, "the one before had not stopped");
                  holder = name;
                  changes += 1;
                }
                worker.send(message);
              },
            }),
          );
      const start = (name: string) =>
        startEngine(
          { spawn: watched(name), settings, turns },
          facts({ directory, contextLength: 4096 }),
          byteVocabulary,
          { allowed: false, directory: undefined },
          Effect.void,
          1024 ** 3,
        );
      const engines = yield* Effect.all([start("a"), start("b")], { concurrency: 2 });
      const outputOf = (engine: (typeof engines)[number], id: string) =>
        Effect.gen(function* () {
          const tokens: number[] = [];
          const request = {
            ...engineRequest(id, { maxOutputTokens: 600 }),
            promptTokenIds: [1, 2, 3],
            eosTokenIds: [],
          };
          yield* engine.generate(request, (event) => {
            if (event.type === "token") tokens.push(event.tokenId);
            return false;
          });
          return tokens;
        });
      const alone = yield* outputOf(engines[0], "alone");
      const before = changes;
      const together = yield* Effect.all([outputOf(engines[0], "one"), outputOf(engines[1], "two")], {
        concurrency: 2,
      });
      assert.lengthOf(alone, 600);
      assert.deepEqual(together, [alone, alone]);
      assert.isAtLeast(changes - before, 2);
      assert.deepEqual(outOfTurn, []);
    }).pipe(Effect.scoped, Effect.provide(EngineConfig.layer)),
  );
});
