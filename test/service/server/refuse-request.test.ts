/** Requests of the wrong kind were refused with a bare status: 415, 405 and 400 without a word. */
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { ErrorInfoSchema } from "../../../src/client/gen/google/rpc/error_details_pb.ts";
import { ListModelsRequestSchema } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const generate = "/mlxd.v1.GenerationService/Generate";
const prepare = "/mlxd.v1.ModelService/PrepareModel";
const list = "/mlxd.v1.ModelService/ListModels";
const body = '{"task":{"prompt":"x"}}';

interface Told {
  readonly status: number;
  readonly message: string;
  readonly reason: string | undefined;
}

const told = (status: number, text: string): Told => {
  const { code, message, details } = JSON.parse(text) as {
    code: string;
    message: string;
    details: ReadonlyArray<{ type: string; value: string }>;
  };
  assert.strictEqual(code, "invalid_argument");
  const [first] = details;
  const any = first && create(AnySchema, { typeUrl: `/${first.type}`, value: Buffer.from(first.value, "base64") });
  return { status, message, reason: any && anyUnpack(any, ErrorInfoSchema)?.reason };
};

const takes = "application/grpc, application/grpc+json, application/grpc-web, application/grpc-web+json";

describe.each([
  ["HTTP/1.1", requestHttp1],
  ["HTTP/2", requestHttp2],
] as const)("over %s", (_version, request) => {
  it.each([
    [
      "application/x-www-form-urlencoded",
      generate,
      `Generate was called with Content-Type "application/x-www-form-urlencoded"; it takes application/json, application/proto, ${takes}`,
    ],
    [
      "text/json",
      generate,
      `Generate was called with Content-Type "text/json"; it takes application/json, application/proto, ${takes}`,
    ],
    [
      "application/grpc-web-text",
      generate,
      `Generate was called with Content-Type "application/grpc-web-text"; it takes application/json, application/proto, ${takes}`,
    ],
    [
      "application/json",
      prepare,
      `PrepareModel was called with Content-Type "application/json"; it takes application/connect+json, application/connect+proto, ${takes}; it answers with a stream, whose messages are in envelopes`,
    ],
    ["application/json; charset=latin1", generate, 'a body in "latin1" cannot be read: it must be in UTF-8'],
  ])("%s for a method that does not take it is told what is taken", async (contentType, path, message) => {
    const { status, body: text } = await request(server.port, { path, headers: { "content-type": contentType }, body });
    assert.deepStrictEqual(told(status, text.toString()), { status: 415, message, reason: "MALFORMED_REQUEST" });
  });

  it("a call without a content type is told of it", async () => {
    const { status, headers, body: text } = await request(server.port, { path: generate, body });
    assert.match(
      told(status, text.toString()).message,
      /^Generate was called without a Content-Type; it takes application\/json, /,
    );
    assert.include(headers["accept-post"], "application/json");
  });

  it.each(["application/json;charset=utf-8", 'application/json; charset="utf-8"', "Application/JSON; Charset=UTF-8"])(
    "%s is taken",
    async (contentType) => {
      const answer = await request(server.port, { path: generate, headers: { "content-type": contentType }, body });
      assert.strictEqual(answer.status, 200);
    },
  );

  it.each([
    ["PUT", generate, "Generate takes POST, not PUT", "POST"],
    ["GET", generate, "Generate takes POST, not GET", "POST"],
    ["DELETE", list, "ListModels takes GET, POST, not DELETE", "GET, POST"],
  ])("%s %s is told which methods are allowed", async (method, path, message, allow) => {
    const { status, headers, body: text } = await request(server.port, { method, path });
    assert.deepStrictEqual(told(status, text.toString()), { status: 405, message, reason: "MALFORMED_REQUEST" });
    assert.strictEqual(headers["allow"], allow);
  });

  it.each([
    ["no encoding", "message=%7B%7D", 415, /^the query of ListModels has no encoding; it must be encoding=json or/],
    ["an unknown encoding", "encoding=xml&message=%7B%7D", 415, /^the query of ListModels has encoding="xml"; it must/],
    ["broken base64", "encoding=proto&base64=1&message=%21%21", 400, /^the query's message is not in base64/],
    ["broken base64 of JSON", "encoding=json&base64=1&message=a", 400, /^the query's message is not in base64/],
    ["Latin-1", "encoding=json&message=%7B%22pageToken%22:%22caf%E9%22%7D", 400, /^the query is not percent-encoded/],
    ["broken JSON", "encoding=json&message=%7B", 400, /./],
    ["a broken message", "encoding=proto&base64=1&message=CAE_", 400, /./],
    ["an unknown compression", "encoding=json&compression=zip&message=%7B%7D", 501, /./],
    ["broken gzip", "encoding=json&compression=gzip&base64=1&message=AAAA", 400, /./],
  ])("GET with %s is the caller's fault, with a reason", async (_what, query, status, message) => {
    const answer = await request(server.port, { method: "GET", path: `${list}?connect=v1&${query}` });
    assert.strictEqual(answer.status, status);
    const text = JSON.parse(answer.body.toString()) as { message: string; details: unknown[] };
    assert.match(text.message, message);
    assert.isAbove(text.details.length, 0);
  });

  it("of a version of Connect that there is not is told so, and without one is answered", async () => {
    const post = (headers: Record<string, string>) =>
      request(server.port, { path: list, headers: { "content-type": "application/json", ...headers }, body: "{}" });
    const refused = await post({ "connect-protocol-version": "9" });
    assertMatches(told(refused.status, refused.body.toString()), {
      status: 400,
      message: 'the header connect-protocol-version is "9"; the only version is 1',
      reason: "MALFORMED_REQUEST",
    });
    assert.strictEqual((await post({ "connect-protocol-version": "1" })).status, 200);
    assert.strictEqual((await post({})).status, 200);
    const get = (query: string) => request(server.port, { method: "GET", path: `${list}?${query}` });
    const query = "encoding=json&message=%7B%7D";
    const unknown = await get(`connect=v9&${query}`);
    assertMatches(told(unknown.status, unknown.body.toString()), {
      status: 400,
      message: 'the query\'s connect is "v9"; the only version is v1',
    });
    assert.strictEqual((await get(query)).status, 200);
  });

  it("GET with sound base64 of both alphabets is answered", async () => {
    const bytes = Buffer.from(toBinary(ListModelsRequestSchema, create(ListModelsRequestSchema, { pageSize: 511 })));
    for (const encoding of ["base64", "base64url"] as const) {
      const message = encodeURIComponent(bytes.toString(encoding));
      const path = `${list}?connect=v1&encoding=proto&base64=1&message=${message}`;
      assert.strictEqual((await request(server.port, { method: "GET", path })).status, 200);
    }
  });
});

describe("HTTP/1", () => {
  const speak = async (text: string): Promise<{ status: number; body: string }> => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(text);
    let answer = "";
    for await (const data of socket) {
      answer += String(data);
      if (answer.includes("\r\n\r\n") && answer.endsWith("}")) break;
    }
    return { status: Number(answer.split(" ")[1]), body: answer.slice(answer.indexOf("\r\n\r\n") + 4) };
  };
  const rest = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  it("without a Host header is told so", async () => {
    const answer = await speak(`POST ${generate} HTTP/1.0\r\n${rest}`);
    assertMatches(told(answer.status, answer.body), { status: 400, message: "the request has no Host header" });
  });

  it("with a Host header that is none is told so", async () => {
    const answer = await speak(`POST ${generate} HTTP/1.1\r\nHost: [\r\nConnection: close\r\n${rest}`);
    assert.strictEqual(answer.status, 400);
    assert.include(answer.body, 'the Host header \\"[\\" is no host and port');
  });

  it("takes a whole URL for a path, as a proxy may send it", async () => {
    const { port } = server;
    for (const url of [`http://127.0.0.1:${port}${generate}`, `HTTP://x${generate}?a=b`]) {
      const answer = await requestHttp1(port, { path: url, headers: { "content-type": "application/json" }, body });
      assert.strictEqual(answer.status, 200);
    }
    const greeting = await requestHttp1(port, { method: "GET", path: `http://127.0.0.1:${port}` });
    assert.include(greeting.body.toString(), "This is mlxd");
  });

  it("is told that reflection takes HTTP/2", async () => {
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const answer = await requestHttp1(server.port, { path, headers: { "content-type": "application/grpc" } });
    assertMatches(told(answer.status, answer.body.toString()), {
      status: 505,
      message: "ServerReflectionInfo streams both ways, which takes HTTP/2; this is HTTP/1.1",
    });
  });
});
