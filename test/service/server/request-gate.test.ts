/** Who calls is decided from the headers alone, over every protocol and for every RPC and route. */
import { request } from "node:http";
import { once } from "node:events";
import { Code, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { Health } from "../../../src/client/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../../src/client/gen/grpc/reflection/v1/reflection_pb.ts";
import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { OpenRcaService } from "../../../src/client/gen/xds/service/orca/v3/orca_pb.ts";
import { everyRole } from "../../../src/service/domain/Caller.ts";
import { apiServices } from "../../../src/service/rpc/routes.ts";
import { rpcNeeds } from "../../../src/service/rpc/rpc-needs.ts";
import { apiKey, bearer, storedKey } from "../../support/api-key.ts";
import { clientKinds } from "../../support/client-kinds.ts";
import { requestHttp1 } from "../../support/raw-http.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

let server: TestServer;
beforeAll(async () => {
  const tenants = Object.fromEntries(everyRole.map((role) => [role, { roles: [role], keys: [storedKey(role)] }]));
  server = await startTestServer({
    access: { tenants: { ...tenants, none: { roles: [], keys: [storedKey("none")] } } },
  });
});
afterAll(() => server.close());

const as =
  (id: string): Interceptor =>
  (next) =>
  (call) => {
    call.header.set("authorization", `Bearer ${apiKey(id)}`);
    return next(call);
  };

const protocols: ReadonlyArray<[string, (baseUrl: string, interceptors: Interceptor[]) => Transport]> = [
  ["gRPC", (baseUrl, interceptors) => createGrpcTransport({ baseUrl, interceptors })],
  ["gRPC-Web", (baseUrl, interceptors) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors })],
  ["Connect", (baseUrl, interceptors) => createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors })],
  [
    "Connect with JSON",
    (baseUrl, interceptors) =>
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false, interceptors }),
  ],
];
const task = { task: { input: { case: "prompt" as const, value: "x" } } };

describe.each(protocols)("over %s", (_name, create) => {
  it("a call without a key is refused, unary or streaming", async () => {
    const client = createClient(GenerationService, create(server.url, []));
    const stream = () => client.streamGenerate(task)[Symbol.asyncIterator]().next();
    for (const call of [() => client.generate(task), stream]) {
      const error = await errorOf(call());
      assert.equal(error.code, Code.Unauthenticated);
      assert.deepInclude(detailsOf(error).info, { domain: "mlxd", reason: "CREDENTIALS_INVALID" });
      assert.equal(error.metadata.get("www-authenticate"), "Bearer");
    }
  });

  it("a call with another role is refused, and names the one that it takes", async () => {
    const error = await errorOf(createClient(ModelService, create(server.url, [as("inference")])).loadModel({}));
    assert.equal(error.code, Code.PermissionDenied);
    assert.deepInclude(detailsOf(error).info, { reason: "ROLE_MISSING" });
    assert.equal(
      error.rawMessage,
      'this takes the role models or admin; tenant "inference" has the role inference here',
    );
  });

  it("a call with the role is answered", async () => {
    const { result } = await createClient(GenerationService, create(server.url, [as("inference")])).generate(task);
    assert.isDefined(result);
  });

  it("health answers anybody", async () => {
    const { status } = await createClient(Health, create(server.url, [])).check({});
    assert.equal(status, 1);
    await createClient(Health, create(server.url, [as("nobody")])).check({});
  });
});

describe.each(clientKinds)("the client over $name", ({ createClient: create }) => {
  it("calls with its credentials, and tells what it is refused for", async () => {
    using known = create(server.url, { credentials: apiKey("inference") });
    assert.isNotEmpty((await known.generate("x")).text);
    using unknown = create(server.url, { credentials: apiKey("nobody"), retry: false });
    await unknown.generate("x").then(
      () => assert.fail("was answered"),
      (error: unknown) => assert.include(error, { code: "UNAUTHENTICATED", reason: "CREDENTIALS_INVALID" }),
    );
  });
});

describe("every RPC of the API", () => {
  const all = apiServices.flatMap(({ typeName, methods }) =>
    methods.map((method) => ({
      path: `/${typeName}/${method.name}`,
      roles: rpcNeeds(typeName, method.localName).roles,
    })),
  );
  /** Connect's own end of a stream comes with status 200: what it was refused with stands in the body. */
  const refusalOf = async (path: string, headers: Record<string, string>): Promise<string> => {
    const type = /Stream|Batch|Preload|Prepare|Watch/.test(path) ? "application/connect+json" : "application/json";
    const { body } = await requestHttp1(server.port, { path, headers: { "content-type": type, ...headers } });
    return /"reason":"(CREDENTIALS_INVALID|ROLE_MISSING)"/.exec(body.toString())?.[1] ?? "none";
  };

  it.each(all)("$path takes one of $roles", async ({ path, roles }) => {
    assert.equal(await refusalOf(path, {}), "CREDENTIALS_INVALID");
    assert.equal(await refusalOf(path, bearer("nobody")), "CREDENTIALS_INVALID");
    assert.equal(await refusalOf(path, bearer("none")), "ROLE_MISSING");
    for (const role of everyRole) {
      assert.equal(await refusalOf(path, bearer(role)), roles.includes(role) ? "none" : "ROLE_MISSING", role);
    }
  });
});

describe("before the body", () => {
  it("a call is refused whose message never comes", async () => {
    const path = "/mlxd.v1.GenerationService/Generate";
    const headers = { "content-type": "application/json", "content-length": "1000000" };
    const sent = request({ host: "127.0.0.1", port: server.port, method: "POST", path, headers });
    sent.flushHeaders();
    const [response] = (await once(sent, "response")) as [{ statusCode: number }];
    assert.equal(response.statusCode, 401);
    sent.destroy();
  });

  it("a query is refused, too", async () => {
    const path = "/mlxd.v1.ModelService/ListModels?encoding=json&message=%7B%7D";
    const { status, headers } = await requestHttp1(server.port, { method: "GET", path });
    assert.equal(status, 401);
    assert.equal(headers["www-authenticate"], "Bearer");
  });
});

describe("what is no RPC", () => {
  const get = async (path: string, headers: Record<string, string> = {}) =>
    (await requestHttp1(server.port, { method: "GET", path, headers })).status;

  it("takes any role for the greeting, and admin for metrics", async () => {
    assert.equal(await get("/"), 401);
    assert.equal(await get("/", bearer("none")), 403);
    assert.equal(await get("/", bearer("jobs")), 200);
    assert.equal(await get("/metrics"), 401);
    assert.equal(await get("/metrics", bearer("inference")), 403);
    assert.equal(await get("/metrics", bearer("admin")), 200);
  });

  it("takes any role for reflection", async () => {
    const list = async function* () {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
    };
    const reflect = (interceptors: Interceptor[]) =>
      createClient(ServerReflection, createGrpcTransport({ baseUrl: server.url, interceptors }))
        .serverReflectionInfo(list())
        [Symbol.asyncIterator]()
        .next();
    assert.equal((await errorOf(reflect([]))).code, Code.Unauthenticated);
    const { value } = await reflect([as("inference")]);
    assert.equal(value?.messageResponse.case, "listServicesResponse");
  });

  it("is open to everybody where the configuration says so", async () => {
    await using open = await startTestServer({ access: { open: ["greeting", "metrics"], tenants: {} } });
    const statuses = ["/", "/metrics"].map((path) => requestHttp1(open.port, { method: "GET", path }));
    assert.deepEqual(
      (await Promise.all(statuses)).map(({ status }) => status),
      [200, 200],
    );
  });

  it("load reports are for whoever has a key, and for a balancer without one where the configuration says so", async () => {
    /** The first of an endless stream, which is then left. */
    const report = async (port: number) => {
      const leaving = new AbortController();
      const client = createClient(OpenRcaService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
      const interval = { reportInterval: { seconds: 0n, nanos: 1 } };
      try {
        for await (const each of client.streamCoreMetrics(interval, { signal: leaving.signal })) return each;
        return undefined;
      } finally {
        leaving.abort();
      }
    };
    assert.equal((await errorOf(report(server.port))).code, Code.Unauthenticated);
    await using open = await startTestServer({ access: { open: ["load"], tenants: {} } });
    assert.equal((await report(open.port))?.namedMetrics["slots"], 4);
    const client = createClient(GenerationService, createGrpcTransport({ baseUrl: open.url }));
    assert.equal((await errorOf(client.generate(task))).code, Code.Unauthenticated);
  });
});
