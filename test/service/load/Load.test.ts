import { type Client, Code, createClient } from "@connectrpc/connect";
import { assert, it } from "@effect/vitest";
import { Effect, Exit, Layer, Scope } from "effect";
import { TestClock } from "effect/testing";
import { describe } from "vitest";

import { ServerService } from "../../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import { EngineConfig } from "../../../src/service/config/EngineConfig.ts";
import { Load } from "../../../src/service/load/Load.ts";
import { Drain } from "../../../src/service/server/Drain.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { listedModels, modelStatus } from "../../support/listed-models.ts";
import { transports } from "../../support/rpc-transports.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { errorOf } from "../../support/wire-error.ts";

const hints = { priority: 0, fairnessId: "" };

const layer = Load.layer.pipe(
  Layer.provideMerge(Admission.layer),
  Layer.provideMerge(Stats.layer),
  Layer.provide([
    Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 8 }),
    EngineConfig.layer,
    listedModels(() => [
      modelStatus("demo", { loadedAt: 1 }),
      modelStatus("cold", { state: "available", loadedAt: undefined }),
    ]),
  ]),
);

describe("Load", () => {
  it.effect("counts slots, what runs and what waits, with the tokens of its prompts", () =>
    Effect.gen(function* () {
      const load = yield* Load;
      const admission = yield* Admission;
      yield* admission.admit("demo", hints, { candidates: 2 });
      const waiting = yield* Scope.make();
      yield* admission.admit("demo", hints, { promptTokens: 70 }).pipe(Scope.provide(waiting), Effect.forkChild);
      yield* TestClock.adjust("1 millis");
      const now = yield* load.now;
      assert.deepInclude(now, { slots: 2, running: 2, waiting: 1, waitingPromptTokens: 70, draining: false });
      assert.deepEqual(
        now.models.map(({ model, slots, running }) => ({ model, slots, running })),
        [{ model: "demo", slots: 2, running: 2 }],
      );
      yield* Scope.close(waiting, Exit.void);
    }).pipe(Effect.scoped, Effect.provide(layer)),
  );

  it.effect("smooths what it averages over seconds", () =>
    Effect.gen(function* () {
      const load = yield* Load;
      const admission = yield* Admission;
      const stats = yield* Stats;
      yield* TestClock.adjust("10 seconds");
      assert.strictEqual(load.averages().utilization, 0);
      yield* admission.admit("demo", hints, { candidates: 2 });
      yield* TestClock.adjust("500 millis");
      const early = load.averages().utilization;
      assert.isAbove(early, 0);
      assert.isBelow(early, 0.15);
      for (let second = 0; second < 60; second++) {
        for (let call = 0; call < 4; call++) stats.ended("demo", call === 0 ? "failed" : "succeeded", undefined);
        yield* TestClock.adjust("1 second");
      }
      const later = load.averages();
      assert.approximately(later.utilization, 1, 0.01);
      assert.approximately(later.generationsPerSecond, 4, 0.5);
      assert.approximately(later.failuresPerSecond, 1, 0.2);
      assert.isAtMost(later.cpuUtilization, 1);
    }).pipe(Effect.scoped, Effect.provide(layer)),
  );
});

const watching = (client: Client<typeof ServerService>) => {
  const abort = new AbortController();
  const interval = { seconds: 0n, nanos: 100_000_000 };
  const iterator = client.watchLoad({ interval }, { signal: abort.signal })[Symbol.asyncIterator]();
  return { abort, next: async () => (await iterator.next()).value?.load };
};

const admitted = (server: TestServer) =>
  server.runtime.runPromise(Effect.flatMap(Admission, ({ admit }) => Effect.scoped(admit("demo", hints))));

describe.each(transports)("over $name", ({ create }) => {
  it("GetLoad and WatchLoad tell the same, and a watch tells that the service drains before it ends", async () => {
    await using server = await startTestServer();
    await admitted(server);
    const client = createClient(ServerService, create(server.url));
    const { load } = await client.getLoad({});
    assert.deepInclude(load, { slots: 4, running: 0, waiting: 0, draining: false });
    assert.isAbove(load?.memoryBudgetBytes ?? 0, 0);
    const watch = watching(client);
    for (let index = 0; index < 3; index++) assert.strictEqual((await watch.next())?.slots, 4);
    const closed = server.close();
    for (;;) if ((await watch.next())?.draining === true) break;
    assert.strictEqual((await errorOf(watch.next())).code, Code.Unavailable);
    await closed;
  });

  it("an interval out of bounds is refused with its bounds", async () => {
    await using server = await startTestServer();
    const client = createClient(ServerService, create(server.url));
    const stream = client.watchLoad({ interval: { seconds: 0n, nanos: 1 } })[Symbol.asyncIterator]();
    const error = await errorOf(stream.next());
    assert.strictEqual(error.code, Code.InvalidArgument);
    assert.match(error.rawMessage, /interval/);
  });

  it("a watcher that leaves is not told any more", async () => {
    await using server = await startTestServer({ config: { drainMs: 60_000 } });
    const watch = watching(createClient(ServerService, create(server.url)));
    await watch.next();
    watch.abort.abort();
    await errorOf(watch.next());
    await server.runtime.runPromise(Effect.flatMap(Drain, ({ begin }) => begin));
  });
});
