import { assert, describe, it } from "@effect/vitest";
import { Clock, Duration, Effect, Fiber, Stream } from "effect";
import { TestClock } from "effect/testing";

import type { EngineHealth } from "../../../../src/service/engine/EngineStatus.ts";
import { type Host, Hosts } from "../../../../src/service/engine/backends/Host.ts";
import { BackendRefused, BackendUnavailable } from "../../../../src/service/domain/errors.ts";
import { capturedLog, type LogLine } from "../../../support/captured-log.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";
import { stepByStep } from "../../../support/step-by-step.ts";

const about = { model: "demo", backend: "attic" };
const request = { ...about, scheduling: { turn: 0, fairnessId: "" } };
const unavailable = new BackendUnavailable({ ...about, cause: "http_503", retryAfterMs: 1 });
const refused = new BackendRefused({ ...about, status: 400, words: "no" });

/** Lets time pass, and what is done outside of the test's clock, until it is so. */
const passing = (isSo: () => boolean) =>
  Effect.gen(function* () {
    while (!isSo()) {
      yield* TestClock.adjust(500);
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)));
    }
  });

const following = (host: Host) =>
  Effect.gen(function* () {
    const told: EngineHealth[] = [];
    yield* Effect.forkScoped(Stream.runForEach(host.health, (health) => Effect.sync(() => void told.push(health))));
    yield* passing(() => told.length > 0);
    return told;
  });

const failing = (count: number, run: () => Effect.Effect<void, unknown>) =>
  Effect.repeat(Effect.ignore(Effect.suspend(run)), { times: count - 1 });

describe("a host that models are on", () => {
  it.effect("is left alone after failures in a row, tells so, and is asked again when a probe finds it there", () =>
    Effect.gen(function* () {
      let status = 503;
      const backend = yield* scriptedBackend((response) => void response.writeHead(status).end());
      const host = yield* new Hosts().join(backend.settings);
      const told = yield* following(host);
      yield* failing(5, () => host.run(request, () => Effect.fail(unavailable)));
      let asked = 0;
      const ask = host.run(request, () => Effect.sync(() => void (asked += 1)));
      const failure = yield* Effect.flip(ask);
      assert.deepInclude(failure, { _tag: "BackendUnavailable", cause: "circuit_open", retryAfterMs: 5_000 });
      yield* passing(() => backend.requests.length >= 2);
      assert.strictEqual(backend.requests[0]?.path, "/v1/models");
      assert.strictEqual(asked, 0);
      assert.deepStrictEqual(told, ["serving", "unreachable"]);
      status = 200;
      yield* passing(() => told.length === 3);
      assert.strictEqual(told[2], "serving");
      yield* ask;
      assert.strictEqual(asked, 1);
    }),
  );

  it.effect("refuses those that wait for its permit when it fails before them", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(() => {});
      const host = yield* new Hosts().join(backend.settings);
      yield* failing(4, () => host.run(request, () => Effect.fail(unavailable)));
      const held = yield* Effect.forkChild(
        host.run(request, () => Effect.andThen(Effect.sleep(1_000), Effect.fail(unavailable))),
        { startImmediately: true },
      );
      const waiting = yield* Effect.forkChild(Effect.flip(host.run(request, () => Effect.die("it was asked"))), {
        startImmediately: true,
      });
      yield* TestClock.adjust(1_000);
      yield* Fiber.await(held);
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "BackendUnavailable", cause: "circuit_open" });
    }),
  );

  it.effect("is not left alone for what it refuses, nor for callers that leave", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(() => {});
      const host = yield* new Hosts().join(backend.settings);
      yield* failing(9, () => host.run(request, () => Effect.fail(refused)));
      for (let index = 0; index < 9; index++) {
        const leaving = yield* Effect.forkChild(
          host.run(request, () => Effect.never),
          { startImmediately: true },
        );
        yield* Fiber.interrupt(leaving);
      }
      yield* host.run(request, () => Effect.void);
    }),
  );

  it.effect("is tried again wherever the request that tried it is interrupted", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(200).end("{}"));
      const host = yield* new Hosts().join(backend.settings);
      const told = yield* following(host);
      yield* failing(5, () => host.run(request, () => Effect.fail(unavailable)));
      yield* passing(() => told.length === 3);
      const trying = stepByStep(host.run(request, () => Effect.never));
      for (let operations = 0; operations < 60; operations++) {
        const fiber = yield* Effect.forkChild(trying, { startImmediately: true });
        for (let count = 0; count < operations; count++) yield* Effect.yieldNow;
        yield* Fiber.interrupt(fiber);
        const trial = yield* Effect.forkChild(
          host.run(request, () => Effect.never),
          { startImmediately: true },
        );
        yield* fibersRan;
        const failure = yield* Effect.flip(host.run(request, () => Effect.die("a second one tries it")));
        assert.deepInclude(failure, { cause: "circuit_open", retryAfterMs: 1_000 }, `after ${operations} operations`);
        yield* Fiber.interrupt(trial);
      }
      yield* host.run(request, () => Effect.void);
    }),
  );

  it.effect("is probed also where the timer of its pause is early", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock;
      const early: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        sleep: (duration) => clock.sleep(Duration.millis(Math.max(1, Duration.toMillis(duration) - 1))),
      };
      const backend = yield* scriptedBackend((response) => void response.writeHead(200).end("{}"));
      const host = yield* Effect.provideService(new Hosts().join(backend.settings), Clock.Clock, early);
      const told = yield* following(host);
      yield* failing(5, () => host.run(request, () => Effect.fail(unavailable)));
      yield* passing(() => told.length === 3);
      assert.deepStrictEqual(told, ["serving", "unreachable", "serving"]);
    }),
  );

  it.effect("is the same for two models that come at once", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(() => {});
      const hosts = new Hosts();
      const join = stepByStep(hosts.join(backend.settings));
      const [one, other] = yield* Effect.all([join, join], { concurrency: "unbounded" });
      assert.strictEqual(one, other);
    }),
  );

  it.effect("is asked at the shortest interval that a backend there says", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(200).end("{}"));
      const hosts = new Hosts();
      const host = yield* hosts.join(backend.settings);
      yield* following(host);
      yield* hosts.join({ ...backend.settings, name: "other", probeIntervalMs: 1_000 });
      yield* passing(() => backend.requests.length >= 2);
    }),
  );

  it.effect("permits what the least of its loaded models permits, and tells where they differ", () => {
    const lines: LogLine[] = [];
    return Effect.gen(function* () {
      const backend = yield* scriptedBackend(() => {});
      const hosts = new Hosts();
      const host = yield* hosts.join({ ...backend.settings, permits: 2 });
      let running = 0;
      const run = Effect.forkChild(
        host.run(request, () =>
          Effect.andThen(
            Effect.sync(() => void (running += 1)),
            Effect.never,
          ),
        ),
        { startImmediately: true },
      );
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* hosts.join({ ...backend.settings, name: "other", permits: 1 });
          yield* run;
          yield* run;
          yield* fibersRan;
          assert.strictEqual(running, 1);
        }),
      );
      yield* fibersRan;
      assert.strictEqual(running, 2);
      const [told] = lines.filter(({ text }) => text.includes("the smallest applies to all of them"));
      assert.deepInclude(told?.annotations, { permits: "other: 1, attic: 2" });
    }).pipe(Effect.provide(capturedLog(lines)));
  });

  it.effect("is asked at an interval where its operator says so, also without tasks", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(500).end(), {
        probeIntervalMs: 1_000,
      });
      const host = yield* new Hosts().join(backend.settings);
      const told = yield* following(host);
      yield* passing(() => told.includes("unreachable"));
      assert.isAtLeast(backend.requests.length, 5);
    }),
  );

  it.effect("is not asked while it computes, and an answer to a probe does not excuse tasks that fail", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(200).end("{}"), {
        probeIntervalMs: 1_000,
      });
      const host = yield* new Hosts().join(backend.settings);
      const told = yield* following(host);
      yield* passing(() => backend.requests.length > 0);
      const busy = yield* Effect.forkChild(
        host.run(request, () => Effect.never),
        { startImmediately: true },
      );
      const before = backend.requests.length;
      yield* TestClock.adjust(10_000);
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)));
      assert.isAtMost(backend.requests.length, before + 1);
      yield* Fiber.interrupt(busy);
      for (let count = 1; count <= 5; count++) {
        const probes = backend.requests.length;
        yield* failing(1, () => host.run(request, () => Effect.fail(unavailable)));
        if (count < 5) yield* passing(() => backend.requests.length > probes);
      }
      yield* passing(() => told.includes("unreachable"));
    }),
  );

  it.effect("is forgotten with the last model there, and shared until then", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(() => {});
      const hosts = new Hosts();
      yield* Effect.scoped(
        Effect.gen(function* () {
          const one = yield* hosts.join(backend.settings);
          assert.strictEqual(yield* hosts.join({ ...backend.settings, name: "other" }), one);
          yield* failing(5, () => one.run(request, () => Effect.fail(unavailable)));
        }),
      );
      const anew = yield* hosts.join(backend.settings);
      yield* anew.run(request, () => Effect.void);
    }),
  );
});
