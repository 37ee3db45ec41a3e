/** Limits of tenants as their callers meet them. */
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { Effect, Stream } from "effect";
import { assert, describe, it } from "vitest";

import { Health } from "../../../src/client/gen/grpc/health/v1/health_pb.ts";
import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ServerService } from "../../../src/client/gen/mlxd/v1/server_service_pb.ts";
import type { LimitsDeclaration } from "../../../src/service/config/access-schema.ts";
import { QuotaExceeded } from "../../../src/service/domain/errors.ts";
import { apiKey, bearer, storedKey } from "../../support/api-key.ts";
import { requestHttp1 } from "../../support/raw-http.ts";
import { started } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServerOptions } from "../../support/test-server.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

const start = (limits: LimitsDeclaration, options: TestServerOptions = {}) =>
  startTestServer({
    ...options,
    access: {
      tenants: {
        acme: { roles: ["inference"], keys: [storedKey("a"), storedKey("b")], limits },
        other: { roles: ["inference"], keys: [storedKey("o")] },
      },
    },
  });

const as =
  (id: string): Interceptor =>
  (next) =>
  (call) => {
    call.header.set("authorization", `Bearer ${apiKey(id)}`);
    return next(call);
  };
const collect = async <A>(stream: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const all: A[] = [];
  for await (const each of stream) all.push(each);
  return all;
};
const task = { task: { input: { case: "prompt" as const, value: "x" } } };
const protocols = [
  ["gRPC", createGrpcTransport],
  [
    "Connect",
    (options: { baseUrl: string; interceptors: Interceptor[] }) =>
      createConnectTransport({ ...options, httpVersion: "1.1" }),
  ],
] as const;

describe.each(protocols)("over %s", (_name, createTransport) => {
  const client = (baseUrl: string, id: string) =>
    createClient(GenerationService, createTransport({ baseUrl, interceptors: [as(id)] }));

  it("a request over the limit is refused, whatever key of the tenant it comes with", async () => {
    await using server = await start({ requests_per_minute: 2 });
    const heard: string[] = [];
    const note = (header: Headers) => void heard.push(header.get("x-ratelimit-remaining-requests") ?? "none");
    await client(server.url, "a").generate(task, { onHeader: note });
    await client(server.url, "b").generate(task, { onHeader: note });
    assert.deepEqual(heard, ["1", "0"]);
    const error = await errorOf(client(server.url, "b").generate(task));
    assert.equal(error.code, Code.ResourceExhausted);
    const { info, retry } = detailsOf(error);
    assert.deepInclude(info, { reason: "QUOTA" });
    assert.deepInclude(info?.metadata, { tenant: "acme", limit: "requests_per_minute", value: "2" });
    assert.isAbove(Number(retry?.retryDelay?.seconds), 0);
    assert.equal(error.metadata.get("x-ratelimit-remaining-requests"), "0");
    await client(server.url, "o").generate(task);
  });

  it("a place is free again when its call has ended, however it ended", async () => {
    await using server = await start(
      { concurrent_calls: 1 },
      { stream: () => Stream.concat(Stream.make(started), Stream.never), run: () => Effect.die(new Error("a bug")) },
    );
    const leaving = new AbortController();
    const stream = client(server.url, "a").streamGenerate(task, { signal: leaving.signal })[Symbol.asyncIterator]();
    await stream.next();
    assert.deepInclude(detailsOf(await errorOf(client(server.url, "a").generate(task))).info?.metadata, {
      limit: "concurrent_calls",
    });
    leaving.abort();
    await errorOf(stream.next());
    const giveUpAt = Date.now() + 30_000;
    for (;;) {
      const { code } = await errorOf(client(server.url, "a").generate(task));
      if (code === Code.Internal) break;
      if (Date.now() > giveUpAt) assert.fail("the place was not given back");
    }
    assert.equal((await errorOf(client(server.url, "a").generate(task))).code, Code.Internal);
  });
});

it("pages may read what is left, and health does not count", async () => {
  await using server = await start({ requests_per_minute: 1 }, { config: { corsOrigins: ["https://page.example"] } });
  const health = createClient(Health, createGrpcTransport({ baseUrl: server.url, interceptors: [as("a")] }));
  for (let call = 0; call < 3; call++) await health.check({});
  const { status, headers } = await requestHttp1(server.port, {
    path: "/mlxd.v1.GenerationService/Generate",
    headers: { "content-type": "application/json", origin: "https://page.example", ...bearer("a") },
    body: '{"task":{"prompt":"x"}}',
  });
  assert.equal(status, 200);
  assert.equal(headers["x-ratelimit-limit-requests"], "1");
  assert.include(headers["access-control-expose-headers"], "x-ratelimit-remaining-requests");
});

it("a batch counts its items, and is refused as a whole", async () => {
  await using server = await start({ requests_per_minute: 4 });
  const client = createClient(GenerationService, createGrpcTransport({ baseUrl: server.url, interceptors: [as("a")] }));
  const batch = (items: number) =>
    collect(client.batchGenerate({ items: Array.from({ length: items }, () => task) }, { onHeader: note }));
  let left = "none";
  const note = (header: Headers) => void (left = header.get("x-ratelimit-remaining-requests") ?? "none");
  assert.lengthOf(await batch(3), 4);
  assert.equal(left, "1");
  const error = await errorOf(batch(3));
  const { info, retry } = detailsOf(error);
  assert.deepInclude(info?.metadata, { limit: "requests_per_minute", value: "4", asked: "2" });
  assert.isDefined(retry);
  const never = await errorOf(batch(9));
  assert.equal(detailsOf(never).info?.reason, "QUOTA");
});

describe("refusals of callers that call again at once", () => {
  const tooLong = new QuotaExceeded({ tenant: "acme", limit: "max_prompt_tokens", value: 1, asked: 2 });

  it.each<[string, LimitsDeclaration, TestServerOptions]>([
    ["from their headers", { requests_per_minute: 1 }, {}],
    ["once their prompts are known", {}, { run: () => Effect.fail(tooLong) }],
  ])("are spaced out: %s", async (_, limits, options) => {
    await using server = await start(limits, options);
    const client = createClient(
      GenerationService,
      createGrpcTransport({ baseUrl: server.url, interceptors: [as("a")] }),
    );
    // The first one connects. In the first case it is answered.
    await Promise.allSettled([client.generate(task)]);
    const began = performance.now();
    const answers = await Promise.allSettled(Array.from({ length: 60 }, () => client.generate(task)));
    // Twenty come at once, and then one in 40 ms. Timers may be a millisecond early.
    assert.isAbove(performance.now() - began, 1590);
    const reasons = answers.map((answer) =>
      answer.status === "rejected" ? detailsOf(answer.reason).info?.reason : "",
    );
    assert.deepEqual(new Set(reasons), new Set(["QUOTA"]));
  });
});

it("of a batch no more items run at once than the tenant may make calls", async () => {
  let running = 0;
  let most = 0;
  await using server = await start(
    { concurrent_calls: 2 },
    {
      run: () =>
        Effect.gen(function* () {
          most = Math.max(most, ++running);
          for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow;
          running -= 1;
          return yield* Effect.die(new Error("enough"));
        }),
    },
  );
  const client = createClient(GenerationService, createGrpcTransport({ baseUrl: server.url, interceptors: [as("a")] }));
  const items = Array.from({ length: 8 }, () => task);
  await collect(client.batchGenerate({ items, parallel: true }));
  assert.equal(most, 2);
});

it("what limits have refused is told by GetStats and metrics", async () => {
  await using server = await startTestServer({
    access: {
      open: ["metrics"],
      tenants: {
        acme: { roles: ["inference", "admin"], keys: [storedKey("a")], limits: { requests_per_minute: 1 } },
        other: { roles: ["admin"], keys: [storedKey("o")] },
      },
    },
  });
  const transport = (id: string) => createGrpcTransport({ baseUrl: server.url, interceptors: [as(id)] });
  const generation = createClient(GenerationService, transport("a"));
  await generation.generate(task);
  await errorOf(generation.generate(task));
  const { quotaRefusals } = await createClient(ServerService, transport("o")).getStats({});
  assert.deepInclude(quotaRefusals[0], { tenant: "acme", limit: "requests_per_minute", count: 1 });
  const { body } = await requestHttp1(server.port, { method: "GET", path: "/metrics" });
  assert.include(body.toString(), 'mlxd_quota_refusals_total{tenant="acme",limit="requests_per_minute"} 1');
});
