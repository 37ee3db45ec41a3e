/** Routes beside RPCs, with one that is answered by `Calls`: what a gateway of another protocol would be. */
import { connect } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Effect, Layer, ManagedRuntime, Result } from "effect";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { ErrorInfoSchema } from "../../../src/client/gen/google/rpc/error_details_pb.ts";
import { Calls } from "../../../src/service/calls/Calls.ts";
import { ServerConfig } from "../../../src/service/config/ServerConfig.ts";
import { CurrentCall } from "../../../src/service/domain/Call.ts";
import { anonymous } from "../../../src/service/domain/Caller.ts";
import { QueueFull, type ServiceError } from "../../../src/service/domain/errors.ts";
import { createHttpHandler } from "../../../src/service/server/http-handler.ts";
import type { HttpRoute } from "../../../src/service/server/http-routes.ts";
import { OnePort } from "../../../src/service/server/one-port.ts";
import { EventLog } from "../../support/event-log.ts";
import { type RawResponse, requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { testConfig } from "../../support/test-server.ts";

const runtime = ManagedRuntime.make(Calls.layer.pipe(Layer.provide(Layer.succeed(ServerConfig, testConfig))));
const noRpc = { handlers: [] as UniversalHandler[], maxMessageBytes: 1024 };

const work: Readonly<Record<string, (log: EventLog) => Effect.Effect<string, ServiceError>>> = {
  "/who": () => Effect.map(CurrentCall, ({ caller, requestId }) => `${caller.name} ${requestId}`),
  "/full": () => Effect.fail(new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1500 })),
  "/broken": () => Effect.die(new Error("secret")),
  "/endless": (log) =>
    Effect.sync(() => log.add("waiting")).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Effect.sync(() => log.add("interrupted"))),
    ),
};

let port: number;
let server: OnePort;
let log: EventLog;
let calls: { begun: number; ended: number };
let failures: unknown[];
let isDraining: boolean;

beforeEach(async () => {
  log = new EventLog();
  calls = { begun: 0, ended: 0 };
  failures = [];
  isDraining = false;
  const { answer } = await runtime.runPromise(Calls);
  const routes = Object.entries(work).map(([path, effectOf]): HttpRoute => ({
    method: "GET",
    path,
    needs: "nothing",
    answer: async ({ response, incoming }) => {
      response.end(await answer(incoming, effectOf(log)));
    },
  }));
  const throwing: HttpRoute = {
    method: "POST",
    path: "/throws",
    needs: "nothing",
    answer: () => {
      throw new Error("secret");
    },
  };
  const handler = createHttpHandler({
    onRefusal: () => {},
    calls: [],
    queries: noRpc,
    routes: [...routes, throwing],
    admit: (_needs, { peer }) => Promise.resolve(Result.succeed(anonymous(peer))),
    cors: { origins: ["https://page.example"], headers: [] },
    earlyHeadersMs: { web: 0, grpc: 0 },
    isDraining: () => isDraining,
    onCall: () => () => {},
    onFailure: () => {},
    onRoute: () => {
      calls.begun += 1;
      return () => (calls.ended += 1);
    },
    onRouteFailure: (_route, reason) => failures.push(reason),
  });
  server = new OnePort(handler);
  ({ port } = await server.listen(0, "127.0.0.1"));
});
afterEach(() => server.close(100));

interface Told {
  readonly status: number;
  readonly code: string;
  readonly reason: string;
}

const told = ({ status, body }: RawResponse): Told => {
  const { code, details } = JSON.parse(body.toString());
  return { status, code, reason: fromBinary(ErrorInfoSchema, Buffer.from(details[0].value, "base64")).reason };
};

describe.each([
  ["HTTP/1.1", requestHttp1],
  ["HTTP/2", requestHttp2],
])("over %s", (_version, request) => {
  const get = (path: string, headers: Record<string, string> = {}) => request(port, { method: "GET", path, headers });

  it("a route is a call that knows its caller and its id, and is counted once", async () => {
    const { status, headers, body } = await get("/who?and=more", { "x-request-id": "mine" });
    assert.deepEqual([status, body.toString()], [200, "anonymous mine"]);
    assert.equal(headers["x-request-id"], "mine");
    assert.equal(calls.begun, 1);
    while (calls.ended === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("a failure is told as an RPC in JSON tells it", async () => {
    const full = await get("/full");
    assert.deepEqual(told(full), { status: 429, code: "resource_exhausted", reason: "QUEUE_FULL" });
    assert.equal(full.headers["retry-after"], "2");
    const late = await get("/endless", { "connect-timeout-ms": "30" });
    assert.deepEqual(told(late), { status: 504, code: "deadline_exceeded", reason: "DEADLINE" });
    await log.until("interrupted");
  });

  it("a bug is told by the request's id alone", async () => {
    for (const answer of [await get("/broken"), await request(port, { path: "/throws" })]) {
      assert.deepEqual(told(answer), { status: 500, code: "internal", reason: "INTERNAL" });
      assert.notInclude(answer.body.toString(), "secret");
    }
    assert.deepEqual(failures.map(String), ["Error: secret"]);
  });

  it("another method is refused with those that there are, and another path with a reason", async () => {
    const wrong = await request(port, { path: "/who" });
    assert.deepEqual(told(wrong), { status: 405, code: "invalid_argument", reason: "MALFORMED_REQUEST" });
    assert.equal(wrong.headers["allow"], "GET");
    assert.deepEqual(told(await get("/nowhere")), { status: 404, code: "unimplemented", reason: "UNKNOWN_METHOD" });
    assert.equal(calls.begun, 0);
  });

  it("it is refused while the service drains", async () => {
    isDraining = true;
    const refused = await get("/who");
    assert.deepEqual(told(refused), { status: 503, code: "unavailable", reason: "DRAINING" });
    assert.equal(refused.headers["retry-after"], "1");
    assert.equal(calls.begun, 0);
  });

  it("web pages of a configured origin may call it", async () => {
    const { headers } = await get("/who", { origin: "https://page.example" });
    assert.equal(headers["access-control-allow-origin"], "https://page.example");
    const preflight = await request(port, {
      method: "OPTIONS",
      path: "/who",
      headers: { origin: "https://page.example", "access-control-request-method": "GET" },
    });
    assert.equal(preflight.status, 204);
    assert.equal(calls.begun, 1);
  });
});

it("a call whose caller leaves is interrupted, and ends", async () => {
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  await log.until("waiting");
  socket.destroy();
  await log.until("interrupted");
  while (calls.ended === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(calls, { begun: 1, ended: 1 });
});
