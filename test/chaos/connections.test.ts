/** Connections that are opened and not used well: rapid resets beside an innocent stream, half-open ones and slow ones. */
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { assert, describe, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { serviceAtRest } from "./at-rest.ts";

const streamPath = "/mlxd.v1.GenerationService/StreamGenerate";
const body = Buffer.from('{"task":{"prompt":"1 2 3","stop":{"ignoreEos":true,"maxOutputTokens":400}}}');
const message = Buffer.concat([Buffer.of(0, 0, 0, 0, body.length), body]);
const headers = {
  ":method": "POST",
  ":path": streamPath,
  "content-type": "application/grpc+json",
  te: "trailers",
};

describe("connections", { timeout: 300_000 }, () => {
  const { service, isBack } = serviceAtRest();

  it("1,500 rapid resets leave the innocent stream on the same connection alone", async () => {
    // It ended with all its streams after a hundred that were refused while those before were still being given up.
    const session = connectHttp2(service().url).on("error", () => {});
    const innocent = session.request(headers);
    innocent.end(message);
    const trailers = once(innocent.resume(), "trailers");
    for (let count = 0; count < 1_500; count++) {
      const stream = session.request(headers);
      stream.on("error", () => {});
      stream.write(message);
      stream.close(constants.NGHTTP2_CANCEL);
      if (count % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    const [{ "grpc-status": status }] = (await trailers) as [Record<string, string>];
    assert.strictEqual(status, "0");
    session.close();
    await isBack();
  });

  it("500 half-open and slow ones keep nobody from being answered, and are gone when they go", async () => {
    const beginnings = [
      "",
      "PRI * HTTP/2.0\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "POST /mlxd.v1.GenerationService/Generate HTTP/1.1\r\nHost: x\r\nX-Slow: ",
      'POST /mlxd.v1.GenerationService/Generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"task":',
      "\x16\x03\x01\x02\x00\x01",
    ];
    const sockets: Socket[] = [];
    for (let count = 0; count < 500; count++) {
      const socket = connect({ port: service().port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
      socket.write(beginnings[count % beginnings.length] ?? "");
      if (count % 7 === 0) socket.end();
      socket.resume();
      sockets.push(socket);
    }
    // A byte now and then.
    const dripping = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write("a");
    }, 500);
    const client = createClient(GenerationService, createGrpcTransport({ baseUrl: service().url }));
    for (let count = 0; count < 10; count++) {
      const { result } = await client.generate({
        task: { input: { case: "prompt", value: "x" }, stop: { maxOutputTokens: 4 } },
      });
      assert.isDefined(result);
    }
    clearInterval(dripping);
    for (const socket of sockets) socket.destroy();
    await isBack();
  });
});
