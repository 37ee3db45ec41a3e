import { once } from "node:events";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { assert, it } from "vitest";

import {
  GenerationService,
  StreamGenerateRequestSchema,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { collect } from "../../support/collect.ts";
import { EventLog } from "../../support/event-log.ts";
import { envelope } from "../../support/raw-http.ts";
import { grpc } from "../../support/rpc-transports.ts";
import { chunk, finished, promptOf, started } from "../../support/scripted-generations.ts";
import { startTestServer } from "../../support/test-server.ts";

const stallMs = 600;
const events = 4_000;
/** Far more than all buffers on the way to a reader that does not read. */
const text = "x".repeat(10_000);

const start = (log: EventLog) =>
  startTestServer({
    config: { stallMs },
    stream: (task) => {
      const count = promptOf(task) === "small" ? 10 : events;
      const chunks = Stream.range(1, count).pipe(
        Stream.map((number) => chunk(promptOf(task) === "small" ? "y" : text, number)),
        Stream.rechunk(1),
      );
      return Stream.make(started).pipe(
        Stream.concat(chunks),
        Stream.concat(Stream.make(finished(count))),
        Stream.onExit((exit) => Effect.sync(() => log.add(`${promptOf(task)} ${exit._tag}`))),
      );
    },
  });

const message = (prompt: string): Buffer =>
  envelope(
    toBinary(
      StreamGenerateRequestSchema,
      create(StreamGenerateRequestSchema, { task: { input: { case: "prompt", value: prompt } } }),
    ),
  );

const headers = {
  ":method": "POST",
  ":path": "/mlxd.v1.GenerationService/StreamGenerate",
  "content-type": "application/grpc",
  te: "trailers",
};

it("a reader that comes back finds the status after what was on its way", async () => {
  const log = new EventLog();
  await using server = await start(log);
  const session = connect(server.url);
  try {
    const call = session.request(headers);
    call.end(message("big"));
    const trailers = once(call, "trailers");
    await log.until("big Failure"); // the engine's place is given back, though nobody has read anything
    call.resume();
    const [{ "grpc-status": status, "grpc-status-details-bin": details }] = (await trailers) as [
      Record<string, string>,
    ];
    assert.strictEqual(status, String(Code.ResourceExhausted));
    const bytes = Buffer.from(String(details), "base64").toString("latin1");
    assert.include(bytes, "CLIENT_STALLED");
    assert.include(bytes, "gen_1");
  } finally {
    session.destroy();
  }
});

it("a reader that does not come back is reset, and its neighbours on the connection are fine", async () => {
  const log = new EventLog();
  await using server = await start(log);
  const session = connect(server.url);
  try {
    const stalled = session.request(headers);
    stalled.on("error", () => {});
    stalled.end(message("big"));
    const closed = new Promise((resolve) => stalled.once("close", resolve));
    await log.until("big Failure");
    const neighbour = session.request(headers);
    neighbour.end(message("small"));
    const [trailers] = (await once(neighbour.resume(), "trailers")) as [Record<string, string>];
    assert.strictEqual(trailers["grpc-status"], "0");
    await closed;
    assert.strictEqual(stalled.rstCode, 11); // ENHANCE_YOUR_CALM
  } finally {
    session.destroy();
  }
});

it("an HTTP/1.1 reader that does not read is cut off", async () => {
  const log = new EventLog();
  await using server = await start(log);
  const socket = connectTcp(server.port, "127.0.0.1");
  const body = envelope(Buffer.from('{"task":{"prompt":"big"}}'));
  socket.write(
    "POST /mlxd.v1.GenerationService/StreamGenerate HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\n" +
      `Content-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  socket.pause();
  await log.until("big Failure");
  const others = createClient(GenerationService, grpc.create(server.url));
  const small = await collect(others.streamGenerate({ task: { input: { case: "prompt", value: "small" } } }));
  assert.strictEqual(small.length, 12);
  const ended = Promise.race([once(socket, "end"), once(socket, "close"), once(socket, "error")]);
  setTimeout(() => socket.resume(), 2.5 * stallMs);
  await ended;
  socket.destroy();
});

it("a slow reader that keeps reading gets everything", async () => {
  const log = new EventLog();
  await using server = await start(log);
  const session = connect(server.url);
  try {
    const call = session.request(headers);
    call.end(message("big"));
    let bytes = 0;
    const trailers = once(call, "trailers");
    call.on("data", (data: Buffer) => {
      bytes += data.length;
      // Every MiB or so a pause, in all longer than a reader may stall.
      if (bytes % (1 << 20) < data.length) {
        call.pause();
        setTimeout(() => call.resume(), stallMs / 6);
      }
    });
    const [{ "grpc-status": status }] = (await trailers) as [Record<string, string>];
    assert.strictEqual(status, "0");
    assert.isAbove(bytes, events * text.length);
    assert.deepStrictEqual(log.entries, ["big Success"]);
  } finally {
    session.destroy();
  }
});
