/** How many connections a peer may have, how many there may be, and how they are sent away. */
import { EventEmitter, once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Effect, Stream } from "effect";
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Connections, noConnectionLimits } from "../../../src/service/server/connection-limits.ts";
import { requestHttp1 } from "../../support/raw-http.ts";
import { finished, started } from "../../support/scripted-generations.ts";
import { startTestServer } from "../../support/test-server.ts";

/** Of this machine, as others reach it. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

const open = async (port: number, host = "127.0.0.1"): Promise<Socket> => {
  const socket = connect(port, host);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
};
/** Whether the service has closed it without a word; asked by a request, which an open one answers. */
const isRefused = async (socket: Socket): Promise<boolean> => {
  let heard = false;
  socket.on("data", () => (heard = true));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await closed;
  return !heard;
};
const until = async (holds: () => Promise<boolean>): Promise<void> => {
  const giveUpAt = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > giveUpAt) assert.fail("it did not come to pass");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

describe("connections", () => {
  it.for([
    ["MLXD_MAX_CONNECTIONS_PER_PEER are open from one address; raise it", { maxConnectionsPerPeer: 3 }, ownAddress],
    ["MLXD_MAX_CONNECTIONS are open; raise it", { maxConnections: 3 }, "127.0.0.1"],
  ] as const)("are refused, as %s; that is told once, and they are let in again", async (row, context) => {
    const [told, limits, host] = row;
    if (host === undefined) return context.skip("this machine has no address that others reach");
    await using server = await startTestServer({ config: { ...limits, host: "0.0.0.0", insecureBind: true } });
    const openOne = () => open(server.port, host);
    const idle = await Promise.all(Array.from({ length: 3 }, openOne));
    for (let more = 0; more < 3; more++) assert.isTrue(await isRefused(await openOne()));
    assert.lengthOf(
      server.log.filter(({ text }) => text.includes(`connections are refused, as ${told}`)),
      1,
    );
    idle[0]?.destroy();
    await until(async () => !(await isRefused(await openOne())));
    for (const socket of idle) socket.destroy();
    // All places are there again, and none is counted twice.
    await until(async () => {
      const all = await Promise.all(Array.from({ length: 3 }, openOne));
      const refused = await Promise.all(all.map(isRefused));
      return refused.every((each) => !each);
    });
    const { body } = await requestHttp1(server.port, { method: "GET", path: "/metrics" });
    const [limit] = told.split(" ");
    const count = new RegExp(`^mlxd_connections_refused_total\\{limit="${limit}"\\} (\\d+)$`, "m").exec(
      body.toString(),
    );
    assert.isAtLeast(Number(count?.[1]), 3);
  });

  it("from this machine are only bounded in all: a proxy here brings those of everybody", async () => {
    await using server = await startTestServer({ config: { maxConnectionsPerPeer: 1 } });
    const all = await Promise.all(Array.from({ length: 3 }, () => open(server.port)));
    assert.deepEqual(await Promise.all(all.map(isRefused)), [false, false, false]);
  });

  it("of HTTP/2 that have no call are sent away without an error", async () => {
    await using server = await startTestServer({ config: { maxConnectionIdleMs: 50 } });
    const session = http2.connect(server.url);
    const closed = once(session, "close");
    const [code] = (await once(session, "goaway")) as [number];
    assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
    await closed;
  });

  it("of HTTP/2 are told to go away at their age, and their calls finish", async () => {
    let finish = (): void => {};
    const gate = new Promise<void>((resolve) => (finish = resolve));
    await using server = await startTestServer({
      config: { maxConnectionAgeMs: 50, connectionAgeGraceMs: 600_000 },
      stream: () =>
        Stream.concat(
          Stream.make(started),
          Stream.fromEffect(
            Effect.as(
              Effect.promise(() => gate),
              finished(0),
            ),
          ),
        ),
    });
    const session = http2.connect(server.url);
    const gone = once(session, "goaway");
    await gone;
    session.destroy();
    // A client opens another connection for the next call, while the stream on the old one goes on.
    const client = createClient(GenerationService, createGrpcTransport({ baseUrl: server.url }));
    const task = { task: { input: { case: "prompt" as const, value: "x" } } };
    const stream = client.streamGenerate(task)[Symbol.asyncIterator]();
    await stream.next();
    await new Promise((resolve) => setTimeout(resolve, 200));
    finish();
    const events: string[] = [];
    for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
      events.push(next.value.event.case ?? "");
    }
    assert.deepEqual(events, ["finished"]);
    await client.generate(task);
  });

  it("of HTTP/2 are cut when the grace is over", async () => {
    await using server = await startTestServer({
      config: { maxConnectionAgeMs: 50, connectionAgeGraceMs: 50 },
      stream: () => Stream.concat(Stream.make(started), Stream.never),
    });
    const client = createClient(GenerationService, createGrpcTransport({ baseUrl: server.url }));
    const stream = client.streamGenerate({ task: { input: { case: "prompt", value: "x" } } })[Symbol.asyncIterator]();
    await stream.next();
    await stream.next().then(
      () => assert.fail("it went on"),
      () => {},
    );
  });

  it("of HTTP/1.1 are closed with the first answer after their age", async () => {
    await using server = await startTestServer({ config: { maxConnectionAgeMs: 50, connectionAgeGraceMs: 600_000 } });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const headers = async () => {
      const sent = http.request({ host: "127.0.0.1", port: server.port, path: "/healthz", agent });
      sent.end();
      const [response] = (await once(sent, "response")) as [http.IncomingMessage];
      response.resume();
      await once(response, "end");
      return response.headers.connection;
    };
    await until(async () => (await headers()) === "close");
    agent.destroy();
  });

  it("live as long as they like by default", async () => {
    await using server = await startTestServer();
    const { headers } = await requestHttp1(server.port, { method: "GET", path: "/healthz" });
    assert.notEqual(headers["connection"], "close");
  });
});

describe("the idle time of a connection", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const idleMs = 1000;
  const watched = () => {
    const session = new FakeSession();
    new Connections({ ...noConnectionLimits, maxConnectionIdleMs: idleMs }, () => {}).watchIdle(
      session as unknown as http2.ServerHttp2Session,
    );
    return session;
  };

  it("begins with the connection, and again when its last call has ended", () => {
    const session = watched();
    vi.advanceTimersByTime(idleMs - 1);
    const calls = [session.call(), session.call()];
    vi.advanceTimersByTime(10 * idleMs);
    calls[0]?.emit("close");
    vi.advanceTimersByTime(10 * idleMs);
    assert.isFalse(session.closed);
    calls[1]?.emit("close");
    vi.advanceTimersByTime(idleMs - 1);
    assert.isFalse(session.closed);
    vi.advanceTimersByTime(1);
    assert.isTrue(session.closed);
  });

  it("leaves no timer behind", () => {
    const session = watched();
    const call = session.call();
    session.close();
    call.emit("close");
    watched().close();
    assert.equal(vi.getTimerCount(), 0);
  });
});

/** What is used of one, without its socket. */
class FakeSession extends EventEmitter {
  closed = false;

  call(): EventEmitter {
    const stream = new EventEmitter();
    this.emit("stream", stream);
    return stream;
  }

  close(): void {
    this.closed = true;
    this.emit("close");
  }
}
