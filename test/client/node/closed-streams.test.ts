/**
 * A proxy that gives up a call closes its stream with NO_ERROR, as if it were complete. The client called that an error of the
 * service's (INTERNAL), which nobody repeats, before the answer; and "not mlxd's" in the middle of a message.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, assert, it } from "vitest";

import { createMlxdClient } from "../../../src/client/node.ts";
import { mlxdErrorOf } from "../../support/error-of.ts";

/** https://www.rfc-editor.org/rfc/rfc9113#section-4.1 */
const frame = (type: number, flags: number, stream: number, payload: ReadonlyArray<number> = []): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, Buffer.from(payload)]);
};
const settings = frame(4, 0, 0);
/** Status 200 of HPACK's static table, and a literal content type. */
const contentType = [..."content-type", ..."application/grpc"].map((character) => character.charCodeAt(0));
const responseHeaders = [0x88, 0x00, 12, ...contentType.slice(0, 12), 16, ...contentType.slice(12)];
const headers = (stream: number): Buffer => frame(1, 4, stream, responseHeaders);
/** The prefix of a message of nine bytes, and its first byte. */
const partOfMessage = (stream: number): Buffer => frame(0, 0, stream, [0, 0, 0, 0, 9, 1]);
const resetNoError = (stream: number): Buffer => frame(3, 0, stream, [0, 0, 0, 0]);

let server: Server | undefined;
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server?.close();
});

/** A server of bare frames: answers each request, once it is complete, with these. */
const startServer = async (answer: (stream: number) => ReadonlyArray<Buffer>): Promise<string> => {
  server = createServer((socket) => {
    sockets.add(socket);
    let received = Buffer.alloc(0);
    let isPreface = true;
    socket.write(settings);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (isPreface && received.length < 24) return;
      if (isPreface) received = received.subarray(24);
      isPreface = false;
      while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
        const [type, flags, stream] = [received.readUInt8(3), received.readUInt8(4), received.readUInt32BE(5)];
        received = received.subarray(9 + received.readUIntBE(0, 3));
        if (type === 4 && flags === 0) socket.write(frame(4, 1, 0));
        if (type === 0 && (flags & 1) !== 0) socket.write(Buffer.concat(answer(stream)));
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

it.each([
  ["before the answer", (stream: number) => [resetNoError(stream)]],
  ["after its headers", (stream: number) => [headers(stream), resetNoError(stream)]],
  ["within its message", (stream: number) => [headers(stream), partOfMessage(stream), resetNoError(stream)]],
])("a stream that is closed without an error %s is a connection that failed", async (_, answer) => {
  using client = createMlxdClient({ baseUrl: await startServer(answer), retry: false });
  for (const call of [() => client.generate("a"), () => client.stream("a").collect()]) {
    const { code, reason } = await mlxdErrorOf(call());
    assert.deepEqual([code, reason], ["UNAVAILABLE", "CONNECTION"]);
  }
});

it("a call that was closed without an error before the answer is repeated", async () => {
  let calls = 0;
  const baseUrl = await startServer((stream) => {
    calls += 1;
    return [resetNoError(stream)];
  });
  using client = createMlxdClient({ baseUrl, retry: { maxAttempts: 2, initialBackoffMs: 1 } });
  await mlxdErrorOf(client.generate("a"));
  assert.equal(calls, 2);
});
