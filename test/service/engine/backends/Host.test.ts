import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Queue, Stream } from "effect";
import { TestClock } from "effect/testing";

import type { EngineHealth } from "../../../../src/service/engine/Engine.ts";
import { Hosts } from "../../../../src/service/engine/backends/Host.ts";
import { BackendRefused, BackendUnavailable } from "../../../../src/service/domain/errors.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";

const about = { model: "demo", backend: "attic" };
const request = { ...about, scheduling: { turn: 0, fairnessId: "" } };
const unavailable = new BackendUnavailable({ ...about, cause: "http_503", retryAfterMs: 1 });
const refused = new BackendRefused({ ...about, status: 400, words: "no" });

/** Waits for what happens outside of the test's clock. */
const until = (isSo: () => boolean) =>
  Effect.promise(async () => {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  });

const failing = (count: number, run: () => Effect.Effect<void, unknown>) =>
  Effect.repeat(Effect.ignore(Effect.suspend(run)), { times: count - 1 });

describe("a host that models are on", () => {
  it.effect("is left alone after failures in a row, tells so, and is asked again when a probe finds it there", () =>
    Effect.gen(function* () {
      let status = 503;
      const backend = yield* scriptedBackend((response) => void response.writeHead(status).end());
      const host = yield* new Hosts().join(backend.settings);
      const told = yield* Queue.unbounded<EngineHealth>();
      yield* Effect.forkScoped(Stream.runForEach(host.health, (health) => Queue.offer(told, health)));
      assert.strictEqual(yield* Queue.take(told), "serving");
      yield* failing(5, () => host.run(request, () => Effect.fail(unavailable)));
      assert.strictEqual(yield* Queue.take(told), "unreachable");
      let asked = 0;
      const ask = host.run(request, () => Effect.sync(() => void (asked += 1)));
      const failure = yield* Effect.flip(ask);
      assert.deepInclude(failure, { _tag: "BackendUnavailable", cause: "circuit_open", retryAfterMs: 5_000 });
      assert.strictEqual(asked, 0);
      yield* TestClock.adjust(5_000);
      yield* until(() => backend.requests.length === 1);
      assert.strictEqual(backend.requests[0]?.path, "/v1/models");
      // It is still down: after ten more seconds it is probed again.
      while ((yield* Effect.flip(ask)).message.includes(" 1000 ms")) yield* until(() => true);
      status = 200;
      yield* TestClock.adjust(10_000);
      assert.strictEqual(yield* Queue.take(told), "serving");
      assert.lengthOf(backend.requests, 2);
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
      const waiting = yield* Effect.forkChild(
        Effect.flip(host.run(request, () => Effect.die("it was asked"))),
        { startImmediately: true },
      );
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

  it.effect("is asked at an interval where its operator says so, also without tasks", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(500).end(), {
        probeIntervalMs: 1_000,
      });
      const host = yield* new Hosts().join(backend.settings);
      for (let count = 1; count <= 5; count++) {
        yield* TestClock.adjust(1_000);
        yield* until(() => backend.requests.length === count);
        if (count < 5) yield* host.run(request, () => Effect.void).pipe(Effect.when(Effect.succeed(false)));
        yield* until(() => true);
      }
      const health = yield* Stream.runHead(Stream.filter(host.health, (each) => each === "unreachable"));
      assert.strictEqual(health._tag, "Some");
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
