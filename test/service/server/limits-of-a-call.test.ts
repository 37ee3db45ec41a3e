/** What one call brings too much of ends that call, soon and with a sentence, and no other one of its connection. */
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { GenerateRequestSchema } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { envelope, requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const path = (method: string) => `/mlxd.v1.GenerationService/${method}`;
const message = toBinary(
  GenerateRequestSchema,
  create(GenerateRequestSchema, { task: { input: { case: "prompt", value: "x" } } }),
);
const grpcHeaders = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };

const call = (session: ClientHttp2Session, headers: Readonly<Record<string, string>> = {}) =>
  session.request({ ...grpcHeaders, ":path": path("Generate"), ...headers });

/** The status that a call ends with. */
const statusOf = async (stream: ReturnType<typeof call>): Promise<string> => {
  let status: unknown;
  const note = (headers: IncomingHttpHeaders) => (status = headers["grpc-status"] ?? status);
  stream.on("response", note).on("trailers", note).resume();
  await once(stream, "close");
  return String(status);
};

describe("metadata", () => {
  const withSession = async (use: (session: ClientHttp2Session) => Promise<void>): Promise<void> => {
    const session = connect(`http://127.0.0.1:${server.port}`, { maxSendHeaderBlockLength: 2 ** 24 });
    try {
      await use(session);
    } finally {
      session.destroy();
    }
  };

  it("has its bound announced, so that clients refuse what is over it themselves", () =>
    withSession(async (session) => {
      const [settings] = (await once(session, "remoteSettings")) as [{ maxHeaderListSize: number }];
      assert.strictEqual(settings.maxHeaderListSize, 65_536);
    }));

  const large = (kib: number) =>
    Object.fromEntries(Array.from({ length: kib / 10 }, (_, index) => [`x-part-${index}`, "é".repeat(10 * 1024)]));

  it.each([70, 100, 140])("of %i KiB ends the one call that has it", (kib) =>
    withSession(async (session) => {
      const neighbour = call(session);
      const first = call(session);
      first.end(envelope(message));
      assert.strictEqual(await statusOf(first), "0"); // by now the bound is agreed on
      const refused = call(session, large(kib));
      refused.on("error", () => {});
      await new Promise((resolve) => refused.once("close", resolve));
      assert.strictEqual(refused.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      neighbour.end(envelope(message));
      assert.strictEqual(await statusOf(neighbour), "0");
      const next = call(session);
      next.end(envelope(message));
      assert.strictEqual(await statusOf(next), "0");
    }),
  );

  it("of 140 KiB that comes before the bound is agreed on is refused with a sentence", () =>
    withSession(async (session) => {
      const [headers] = (await once(call(session, large(140)), "response")) as [IncomingHttpHeaders];
      assert.strictEqual(headers["grpc-status"], "8");
      assert.match(
        String(headers["grpc-message"]),
        /^the request's headers have \d+ bytes; they may have 65536 at most$/,
      );
    }));

  it("of a JSON call as well", () =>
    withSession(async (session) => {
      const stream = call(session, { ...large(140), "content-type": "application/json" });
      const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
      assert.strictEqual(Number(headers[":status"]), 431);
      const [body] = (await once(stream, "data")) as [Buffer];
      assertMatches(JSON.parse(body.toString()), { code: "resource_exhausted" });
    }));

  it.each([
    ["one header of 70 KiB", { "x-big": "é".repeat(70 * 1024) }],
    ["headers of 200 KiB", large(200)],
  ])("over what nghttp2 takes ends its connection, and no other one: %s", (_what, headers) =>
    withSession(async (other) => {
      const neighbour = call(other);
      await withSession(async (session) => {
        session.on("error", () => {});
        let goaway: number | undefined;
        session.on("goaway", (code: number) => (goaway = code));
        const refused = call(session, headers);
        refused.on("error", () => {});
        await new Promise((resolve) => refused.once("close", resolve));
        assert.include([constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_COMPRESSION_ERROR], goaway);
      });
      neighbour.end(envelope(message));
      assert.strictEqual(await statusOf(neighbour), "0");
    }),
  );

  it("of 60 KiB is taken", () =>
    withSession(async (session) => {
      const stream = call(session, { "x-big": "x".repeat(60 * 1024) });
      stream.end(envelope(message));
      assert.strictEqual(await statusOf(stream), "0");
    }));

  it.each([
    [`GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${"x".repeat(70 * 1024)}\r\n\r\n`, 431, "larger than 64 KiB"],
    ["NONSENSE\r\n\r\n", 400, "no HTTP/1.1 request"],
  ])("that HTTP/1.1 cannot read is told of", async (text, status, sentence) => {
    const socket = connectTcp(server.port, "127.0.0.1");
    socket.write(text);
    let answer = "";
    for await (const data of socket) answer += String(data);
    assert.isTrue(answer.startsWith(`HTTP/1.1 ${status} `));
    assert.include(answer, sentence);
  });

  it("of 60 KiB is taken over HTTP/1.1", async () => {
    const socket = connectTcp(server.port, "127.0.0.1");
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: ${"x".repeat(60 * 1024)}\r\n\r\n`);
    let answer = "";
    for await (const data of socket) answer += String(data);
    assert.include(answer, "This is mlxd");
  });
});

describe("what comes behind a message", () => {
  const surplus = [
    ["a second message", envelope(message)],
    ["the beginning of a second message", envelope(message).subarray(0, 3)],
    ["the beginning of a large second message", envelope(new Uint8Array(10), 1024 * 1024)],
    ["an empty message", envelope(new Uint8Array())],
  ] as const;

  it.each(
    surplus.flatMap(([what, bytes]) => ["Generate", "StreamGenerate"].map((method) => ({ what, bytes, method }))),
  )("of $method ends the call at once: $what", async ({ bytes, method }) => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    try {
      const stream = call(session, { ":path": path(method) });
      // Neither end is ever said: before, such a call stayed open for a minute.
      stream.write(Buffer.concat([envelope(message), bytes]));
      assert.strictEqual(await statusOf(stream), "12");
      assert.strictEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    } finally {
      session.destroy();
    }
  });

  it("a message in single bytes is still one message", async () => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    try {
      const stream = call(session);
      for (const byte of envelope(message)) {
        stream.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      stream.end();
      assert.strictEqual(await statusOf(stream), "0");
    } finally {
      session.destroy();
    }
  });
});

describe("a message of 64 MB", () => {
  const bytes = Buffer.alloc(64 * 1024 * 1024, "x");
  const text = Buffer.from(JSON.stringify({ task: { prompt: bytes.toString() } }));
  const kinds = [
    ["application/grpc", envelope(bytes)],
    ["application/grpc+json", envelope(text)],
    ["application/grpc-web", envelope(bytes)],
    ["application/connect+json", envelope(text)],
    ["application/connect+proto", envelope(bytes)],
    ["application/json", text],
    ["application/proto", bytes],
  ] as const;
  const isUnary = (type: string) => type === "application/json" || type === "application/proto";

  it.each(
    kinds.flatMap(([type, body]) =>
      [requestHttp1, requestHttp2]
        .filter((request) => request === requestHttp2 || !type.startsWith("application/grpc+"))
        .map((request) => ({ type, body, request, version: request === requestHttp1 ? "HTTP/1.1" : "HTTP/2" })),
    ),
  )("as $type over $version is refused with its bound", async ({ type, body, request }) => {
    const headers: Record<string, string> = {
      "content-type": type,
      ...(type.startsWith("application/grpc") && { te: "trailers" }),
    };
    const answer = await request(server.port, {
      path: path(isUnary(type) ? "Generate" : "StreamGenerate"),
      headers,
      body,
    });
    const told = JSON.stringify([answer.headers, answer.trailers]) + answer.body.toString();
    assert.match(
      decodeURIComponent(told.replaceAll(/%(?![0-9A-Fa-f]{2})/g, "%25")),
      /it may have 4194304 bytes at most/,
    );
    if (isUnary(type)) assert.strictEqual(answer.status, 429);
  });

  it("compressed to some kilobytes is refused the same", async () => {
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const answer = await requestHttp1(server.port, { path: path("Generate"), headers, body: gzipSync(text) });
    assert.strictEqual(answer.status, 429);
    assert.include(answer.body.toString(), "it may have 4194304 bytes at most");
  });
});

describe("a query of Connect", () => {
  const query = (message: string, more = "") =>
    `/mlxd.v1.ModelService/ListModels?connect=v1&encoding=json&message=${message}${more}`;

  it("that is long is refused with the bound of headers", async () => {
    const long = query(encodeURIComponent(JSON.stringify({ pageToken: "x".repeat(70_000) })));
    const first = await requestHttp1(server.port, { method: "GET", path: long });
    assert.strictEqual(first.status, 431);
    assertMatches(JSON.parse(first.body.toString()), { code: "resource_exhausted" });
  });

  it("whose message is long once it is decompressed is refused, too", async () => {
    const message = gzipSync(JSON.stringify({ pageToken: "x".repeat(70_000) })).toString("base64url");
    const path = query(message, "&base64=1&compression=gzip");
    const { status, body } = await requestHttp1(server.port, { method: "GET", path });
    assert.strictEqual(status, 429);
    assert.include(body.toString(), "it may have 65536 bytes at most");
  });
});
