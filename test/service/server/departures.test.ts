/**
 * A caller that goes by closing its connection, without a word in HTTP/2's own terms (Ctrl-C of grpcurl, a Python client
 * that is killed, nginx whose own client leaves), kept its generation running until the next ping: up to 39 s.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, beforeEach, it } from "vitest";

import { GenerateRequestSchema } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { EventLog } from "../../support/event-log.ts";
import { envelope } from "../../support/raw-http.ts";
import { frameTypes, RawHttp2 } from "../../support/raw-http2.ts";
import { chunk, started } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

let server: TestServer;
let log: EventLog;
beforeAll(async () => {
  server = await startTestServer({
    stream: () =>
      Stream.concat(Stream.make(started, chunk("a", 1)), Stream.never).pipe(
        Stream.onStart(Effect.sync(() => log.add("started"))),
        Stream.onExit(() => Effect.sync(() => log.add("ended"))),
      ),
  });
});
afterAll(() => server.close());
beforeEach(() => {
  log = new EventLog();
});

const path = (method: string) => `/mlxd.v1.GenerationService/${method}`;
const request = toBinary(
  GenerateRequestSchema,
  create(GenerateRequestSchema, { task: { input: { case: "prompt", value: "x" } } }),
);

// Far below the 30 s of a ping, and far above what it takes.
const soon = { timeout: 10_000 };

it.each(["Generate", "StreamGenerate"])(
  "HTTP/2: %s ends when its caller closes the connection",
  soon,
  async (method) => {
    using connection = new RawHttp2(server.port);
    connection.call(1, path(method), envelope(request));
    await log.until("started");
    connection.socket.end();
    await log.until("ended");
    await once(connection.socket, "close");
  },
);

it("HTTP/2: a caller that has read a part and closes ends the stream", soon, async () => {
  using connection = new RawHttp2(server.port);
  connection.call(1, path("StreamGenerate"), envelope(request));
  await connection.until(({ type }) => type === frameTypes.data);
  connection.socket.end();
  await log.until("ended");
});

it("HTTP/2: a request and the closing in one packet end as well", soon, async () => {
  using connection = new RawHttp2(server.port);
  connection.socket.cork();
  connection.call(1, path("StreamGenerate"), envelope(request));
  connection.socket.uncork();
  connection.socket.end();
  await once(connection.socket, "close");
  assert.strictEqual(log.count("ended"), log.count("started"));
});

it("HTTP/1.1: a caller that closes the connection ends its call", soon, async () => {
  const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  const body = JSON.stringify({ task: { prompt: "x" } });
  socket.write(
    `POST ${path("Generate")} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await log.until("started");
  socket.end();
  await log.until("ended");
  socket.destroy();
});
