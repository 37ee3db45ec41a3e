import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { Effect, Layer } from "effect";
import { assert, describe, it } from "vitest";

import { createMlxdClient } from "../../../src/client/node.ts";
import { ListenFailed } from "../../../src/service/server/ListenFailed.ts";
import { type Request, type Response, OnePort } from "../../../src/service/server/one-port.ts";
import { errorOf } from "../../support/error-of.ts";
import { startTestServer } from "../../support/test-server.ts";

describe("listening beyond this machine", () => {
  it("takes TLS and keys, or to be meant", async () => {
    assert.include(
      (await errorOf(startTestServer({ config: { host: "0.0.0.0" } }))).message,
      "listens on 0.0.0.0, beyond this machine, without TLS and keys. Set MLXD_TLS_CERT",
    );
  });

  it("is warned of where it is meant", async () => {
    await using server = await startTestServer({ config: { host: "0.0.0.0", insecureBind: true } });
    const warning = "the service listens on 0.0.0.0, beyond this machine, without TLS and keys";
    assert.include(server.log.find(({ level }) => level === "Warn")?.text, warning);
    using client = createMlxdClient({ baseUrl: server.url });
    assert.deepEqual((await client.serverInfo()).warnings, [warning]);
  });
});

describe("a port that cannot be listened on", () => {
  it("fails with one clear line when it is in use", async () => {
    await using first = await startTestServer();
    const second = startTestServer({ config: { port: first.port } });
    assert.include(
      (await errorOf(second)).message,
      `127.0.0.1:${first.port} is in use: stop the program that listens there, or set MLXD_PORT to another port`,
    );
  });

  it("fails with one clear line when the address is not of this machine", async () => {
    assert.include(
      (await errorOf(startTestServer({ config: { host: "192.0.2.1", insecureBind: true } }))).message,
      "192.0.2.1 is no address of this machine: set MLXD_HOST to one, or to 0.0.0.0 for all",
    );
  });

  it("keeps the code of any other reason", () => {
    const error = new ListenFailed({ host: "h", port: 1, code: "EMFILE" });
    assert.strictEqual(error.message, "cannot listen on h:1: EMFILE");
    assert.isTrue(Layer.isLayer(Layer.effectDiscard(Effect.fail(error))));
  });
});

const hello = (_request: Request, response: Response): void => {
  response.statusCode = 200;
  response.end("hello");
};

const withPort = async (options: ConstructorParameters<typeof OnePort>[1], use: (port: number) => Promise<void>) => {
  const server = new OnePort(hello, options);
  const { port } = await server.listen(0, "127.0.0.1");
  try {
    await use(port);
  } finally {
    await server.close(100);
  }
};

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

describe("one port", () => {
  it("takes HTTP/1.1 and HTTP/2, byte by byte", () =>
    withPort({}, async (port) => {
      for (const bytes of [Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Buffer.concat([preface, emptySettings])]) {
        const socket = connect(port, "127.0.0.1").setNoDelay(true);
        for (const byte of bytes) {
          socket.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        const [data] = (await once(socket, "data")) as [Buffer];
        // A settings frame, or a status line.
        assert.isTrue(bytes[0] === 0x47 ? data.toString().startsWith("HTTP/1.1 200") : data[3] === 4);
        socket.destroy();
      }
    }));

  it("drops a connection that says nothing, or only part of a preface", () =>
    withPort({ sniffMs: 50 }, async (port) => {
      for (const bytes of [undefined, preface.subarray(0, 10)]) {
        const socket = connect(port, "127.0.0.1");
        if (bytes) socket.write(bytes);
        await once(socket.resume(), "close");
      }
    }));

  it("survives connections that are reset at once, and bytes that are no HTTP", () =>
    withPort({}, async (port) => {
      const reset = connect(port, "127.0.0.1");
      await once(reset, "connect");
      reset.resetAndDestroy();
      const garbage = connect(port, "127.0.0.1");
      garbage.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
      const [data] = (await once(garbage, "data")) as [Buffer];
      assert.include(data.toString(), "400");
      garbage.destroy();
    }));

  it("cuts an HTTP/2 peer that does not answer pings, and keeps one that does", () =>
    withPort({ pingMs: 60 }, async (port) => {
      const alive = connectHttp2(`http://127.0.0.1:${port}`);
      const dead = connect(port, "127.0.0.1");
      dead.write(Buffer.concat([preface, emptySettings]));
      await once(dead.resume(), "close");
      const call = alive.request({ ":path": "/" });
      const [headers] = (await once(call, "response")) as [Record<string, unknown>];
      assert.strictEqual(headers[":status"], 200);
      alive.destroy();
    }));

  it("announces how many calls a connection may have at once", () =>
    withPort({}, async (port) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      const [settings] = (await once(session, "remoteSettings")) as [{ maxConcurrentStreams: number }];
      assert.strictEqual(settings.maxConcurrentStreams, 256);
      session.destroy();
    }));
});
