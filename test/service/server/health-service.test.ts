import { type Client, Code, createClient } from "@connectrpc/connect";
import { Effect, SubscriptionRef } from "effect";
import { assert, describe, it } from "vitest";

import {
  Health as HealthRpc,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../src/client/gen/grpc/health/v1/health_pb.ts";
import type { ModelCondition, ModelState } from "../../../src/service/domain/model.ts";
import { Drain } from "../../../src/service/server/Drain.ts";
import { Health } from "../../../src/service/server/Health.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { requestHttp1 } from "../../support/raw-http.ts";
import { grpc, transports } from "../../support/rpc-transports.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { errorOf } from "../../support/wire-error.ts";

const services = [
  "mlxd.v1.GenerationService",
  "mlxd.v1.CacheService",
  "mlxd.v1.CatalogService",
  "mlxd.v1.DiagnosticsService",
  "mlxd.v1.EmbeddingService",
  "mlxd.v1.TokenizerService",
  "mlxd.v1.JobService",
  "mlxd.v1.ModelService",
  "mlxd.v1.ServerService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "xds.service.orca.v3.OpenRcaService",
];

const set = (server: TestServer, name: string, status: "serving" | "not-serving") =>
  server.runtime.runPromise(Effect.flatMap(Health, (health) => health.set(name, status)));

/** Reads a watch one message at a time. */
const watch = (client: Client<typeof HealthRpc>, service: string) => {
  const abort = new AbortController();
  const iterator = client.watch({ service }, { signal: abort.signal })[Symbol.asyncIterator]();
  return { abort, next: async () => (await iterator.next()).value?.status };
};

describe.each(transports)("over $name", ({ create }) => {
  it("Check tells of the server, each service and each model", async () => {
    await using server = await startTestServer();
    const client = createClient(HealthRpc, create(server.url));
    for (const service of ["", ...services, "models/demo"]) {
      assertMatches(await client.check({ service }), { status: Status.SERVING });
    }
  });

  it("Check does not find what it does not know", async () => {
    await using server = await startTestServer();
    const client = createClient(HealthRpc, create(server.url));
    assert.strictEqual((await errorOf(client.check({ service: "nope" }))).code, Code.NotFound);
  });

  it("List tells all", async () => {
    await using server = await startTestServer({
      models: () => [modelStatus("demo"), modelStatus("b", { state: "failed" })],
    });
    const client = createClient(HealthRpc, create(server.url));
    const { statuses } = await client.list({});
    assert.deepStrictEqual(Object.keys(statuses).toSorted(), ["", "models/b", "models/demo", ...services].toSorted());
    assert.strictEqual(statuses["models/demo"]?.status, Status.SERVING);
    assert.strictEqual(statuses["models/b"]?.status, Status.NOT_SERVING);
  });

  it("Watch stays open, tells each change once, and an unknown name as unknown", async () => {
    await using server = await startTestServer();
    const client = createClient(HealthRpc, create(server.url));
    const watched = watch(client, "models/new");
    assert.strictEqual(await watched.next(), Status.SERVICE_UNKNOWN);
    await set(server, "models/new", "serving");
    assert.strictEqual(await watched.next(), Status.SERVING);
    await set(server, "models/new", "serving");
    await set(server, "models/other", "serving");
    await set(server, "models/new", "not-serving");
    assert.strictEqual(await watched.next(), Status.NOT_SERVING);
    watched.abort.abort();
    await errorOf(watched.next());
  });

  it("Watch tells of a shutdown and then ends, so that it does not hold it up", async () => {
    await using server = await startTestServer();
    const client = createClient(HealthRpc, create(server.url));
    const watched = watch(client, "");
    assert.strictEqual(await watched.next(), Status.SERVING);
    await server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.begin));
    assert.strictEqual(await watched.next(), Status.NOT_SERVING);
    assert.strictEqual((await errorOf(watched.next())).code, Code.Unavailable);
    // Health itself is still answered.
    assertMatches(await client.check({ service: "models/demo" }), { status: Status.NOT_SERVING });
  });
});

it("is plain JSON for a prober without gRPC", async () => {
  await using server = await startTestServer();
  const headers = { "content-type": "application/json" };
  const { status, body } = await requestHttp1(server.port, {
    path: "/grpc.health.v1.Health/Check",
    headers,
    body: "{}",
  });
  assert.strictEqual(status, 200);
  assert.deepStrictEqual(JSON.parse(body.toString()), { status: "SERVING" });
});

it("follows the states of the models", async () => {
  const conditions = (states: Readonly<Record<string, ModelState | "stalled">>): ReadonlyMap<string, ModelCondition> =>
    new Map(
      Object.entries(states).map(([id, state]) => [
        id,
        state === "stalled" ? { state: "active", delivers: false } : { state, delivers: true },
      ]),
    );
  const changes = Effect.runSync(SubscriptionRef.make(conditions({ a: "loading", b: "failed" })));
  const change = (states: Parameters<typeof conditions>[0]) =>
    Effect.runSync(SubscriptionRef.set(changes, conditions(states)));
  await using server = await startTestServer({
    models: () => [modelStatus("a", { state: "loading" }), modelStatus("b", { state: "failed" })],
    modelChanges: SubscriptionRef.changes(changes),
  });
  const client = createClient(HealthRpc, grpc.create(server.url));
  const overall = watch(client, "");
  const model = watch(client, "models/a");
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.NOT_SERVING, Status.NOT_SERVING]);
  change({ a: "active", b: "failed" });
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.SERVING, Status.SERVING]);
  change({ a: "failed", b: "failed" });
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.NOT_SERVING, Status.NOT_SERVING]);
  change({ a: "active", b: "failed" });
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.SERVING, Status.SERVING]);
  change({ a: "stalled", b: "failed" });
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.NOT_SERVING, Status.NOT_SERVING]);
  change({ a: "available", b: "failed" });
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.SERVING, Status.SERVING]);
  change({ b: "failed" });
  assert.deepStrictEqual([await overall.next(), await model.next()], [Status.NOT_SERVING, Status.SERVICE_UNKNOWN]);
});
