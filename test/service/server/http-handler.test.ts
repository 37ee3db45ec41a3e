import { once } from "node:events";
import { connect } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const generate = "/mlxd.v1.GenerationService/Generate";
const json = { "content-type": "application/json" };

describe("requests for no RPC", () => {
  it.each([requestHttp1, requestHttp2])("a person who opens the address reads what this is", async (request) => {
    const { status, headers, body } = await request(server.port, { method: "GET", path: "/" });
    assert.strictEqual(status, 200);
    assert.include(headers["content-type"], "text/plain");
    assert.include(body.toString(), "This is mlxd");
  });

  it("another path is not found", async () => {
    const { status, body } = await requestHttp1(server.port, { method: "GET", path: "/favicon.ico" });
    assert.strictEqual(status, 404);
    assertMatches(JSON.parse(body.toString()), {
      code: "unimplemented",
      message: "this server has no /favicon.ico",
      details: [{ type: "google.rpc.ErrorInfo" }],
    });
  });

  it("a gRPC method of a later version is unimplemented", async () => {
    const headers = { "content-type": "application/grpc", te: "trailers" };
    const answer = await requestHttp2(server.port, { path: "/mlxd.v1.FutureService/DoMore", headers });
    assert.strictEqual(answer.status, 200);
    assert.strictEqual(answer.headers["grpc-status"], String(Code.Unimplemented));
    assert.include(
      Buffer.from(String(answer.headers["grpc-status-details-bin"]), "base64").toString(),
      "UNKNOWN_METHOD",
    );
  });

  it("a read-only call works with GET", async () => {
    const path = "/mlxd.v1.ModelService/ListModels?connect=v1&encoding=json&message=%7B%7D";
    const { status, body } = await requestHttp1(server.port, { method: "GET", path });
    assert.strictEqual(status, 200);
    assert.strictEqual((JSON.parse(body.toString()) as { models: unknown[] }).models.length, 1);
  });
});

describe("odd requests", () => {
  const speak = async (text: string): Promise<string> => {
    const socket = connect(server.port, "127.0.0.1");
    socket.end(text);
    let answer = "";
    for await (const data of socket) answer += String(data);
    return answer;
  };

  it.each([
    [
      "an authority that is none",
      `POST ${generate} HTTP/1.1\r\nHost: [\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    ],
    ["no authority", `POST ${generate} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`],
  ])("%s is a bad request and harms nobody", async (_what, text) => {
    assert.match(await speak(text), /^HTTP\/1\.1 400/);
    const { status } = await requestHttp1(server.port, { method: "GET", path: "/" });
    assert.strictEqual(status, 200);
  });

  it("a content type of no protocol is refused", async () => {
    const request = { path: generate, headers: { "content-type": "text/html" }, body: "<p>" };
    assert.strictEqual((await requestHttp1(server.port, request)).status, 415);
  });

  it("a refused upload leaves its HTTP/1.1 connection in order", async () => {
    const socket = connect(server.port, "127.0.0.1");
    try {
      const length = 5 * 1024 * 1024;
      socket.write(`POST ${generate} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n`);
      socket.write(`Content-Length: ${length}\r\n\r\n${"x".repeat(1000)}`);
      assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 429/);
      socket.write("x".repeat(length - 1000));
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 200/);
    } finally {
      socket.destroy();
    }
  });
});

describe("web pages", () => {
  const preflight = (port: number, origin: string) =>
    requestHttp1(port, {
      method: "OPTIONS",
      path: generate,
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,connect-protocol-version,grpc-timeout",
      },
    });
  const call = (port: number, origin: string) =>
    requestHttp1(port, { path: generate, headers: { ...json, origin }, body: '{"task":{"prompt":"x"}}' });

  it("of a configured origin may call, and only they", async () => {
    await using own = await startTestServer({ config: { corsOrigins: ["https://app.example"] } });
    const allowed = await preflight(own.port, "https://app.example");
    assert.strictEqual(allowed.status, 204);
    assertMatches(allowed.headers, {
      "access-control-allow-origin": "https://app.example",
      "access-control-max-age": "7200",
      vary: "Origin",
    });
    assert.include(allowed.headers["access-control-allow-methods"], "POST");
    assert.include(String(allowed.headers["access-control-allow-headers"]).toLowerCase(), "connect-protocol-version");
    const answer = await call(own.port, "https://app.example");
    assert.strictEqual(answer.status, 200);
    assert.strictEqual(answer.headers["access-control-allow-origin"], "https://app.example");
    assert.include(String(answer.headers["access-control-expose-headers"]).toLowerCase(), "grpc-status");

    const refused = await preflight(own.port, "https://evil.example");
    assert.isUndefined(refused.headers["access-control-allow-origin"]);
    assert.isUndefined((await call(own.port, "https://evil.example")).headers["access-control-allow-origin"]);
  });

  it("may send the headers of proxies and tracing, and those that are configured", async () => {
    await using own = await startTestServer({ config: { corsOrigins: ["*"], corsHeaders: ["X-Tenant"] } });
    const allowed = String((await preflight(own.port, "https://x.example")).headers["access-control-allow-headers"]);
    assert.includeMembers(allowed.split(", "), [
      "authorization",
      "traceparent",
      "tracestate",
      "x-request-id",
      "x-tenant",
      "content-type",
    ]);
  });

  it("may read the call's id and when to come back", async () => {
    await using own = await startTestServer({ config: { corsOrigins: ["*"] } });
    const exposed = String((await call(own.port, "https://x.example")).headers["access-control-expose-headers"]);
    assert.includeMembers(exposed.toLowerCase().split(", "), ["x-request-id", "retry-after"]);
  });

  it("read a refusal that they are entitled to", async () => {
    await using own = await startTestServer({ config: { corsOrigins: ["https://app.example"] } });
    const headers = { origin: "https://app.example", "content-type": "text/plain" };
    const refused = await requestHttp1(own.port, { path: generate, headers, body: "{}" });
    assert.strictEqual(refused.status, 415);
    assert.strictEqual(refused.headers["access-control-allow-origin"], "https://app.example");
  });

  it("of any origin may call when it is a star", async () => {
    await using own = await startTestServer({ config: { corsOrigins: ["*"] } });
    assert.strictEqual((await preflight(own.port, "https://x.example")).headers["access-control-allow-origin"], "*");
  });

  it("may not call where none is configured", async () => {
    assert.isUndefined((await preflight(server.port, "https://x.example")).headers["access-control-allow-origin"]);
  });
});
