/** Several connections of one client. */
import { assert, describe, it, vi } from "vitest";
import { isMlxdError } from "../../../src/client/index.ts";
import { createMlxdClient } from "../../../src/client/node.ts";
import { chunkEvent, numbered, saying, startedEvent } from "../../support/scripted-events.ts";
import { type Script, startScriptedServer, untilLeft } from "../../support/scripted-server.ts";

const endless: Script = {
  async *stream(_request, context) {
    yield* numbered([startedEvent(), chunkEvent("a", 1)]);
    await untilLeft(context);
  },
  server: { getStats: () => ({}) },
};

describe("a client with several connections", () => {
  it("opens them with its calls, and gives each call the one with the fewest", async () => {
    await using server = await startScriptedServer(endless);
    using client = createMlxdClient({ baseUrl: server.url, connections: 3, retry: false });
    const streams = Array.from({ length: 7 }, () => client.stream("hi"));
    for (const stream of streams) await stream.next();
    assert.equal(server.connections(), 3);
    assert.deepEqual(server.streamsOf(), [3, 2, 2]);
    // One of the first connection leaves: the next call takes its place.
    await streams[0]?.return();
    await streams[3]?.return();
    await streams[6]?.return();
    await client.stream("hi").next();
    assert.equal(server.connections(), 3);
    await client.stats();
    assert.deepEqual(server.streamsOf(), [5, 2, 2]);
  });

  it("opens them ahead when it is told to", async () => {
    await using server = await startScriptedServer(endless);
    using client = createMlxdClient({ baseUrl: server.url, connections: 4 });
    await client.connect();
    await vi.waitUntil(() => server.connections() === 4, { timeout: 60_000 });
    await client.stats();
    assert.equal(server.connections(), 4);
  });

  it("fails to open them where nobody listens, and says so", async () => {
    const server = await startScriptedServer(endless);
    await server[Symbol.asyncDispose]();
    using client = createMlxdClient({ baseUrl: server.url, connections: 2 });
    const error: unknown = await client.connect().catch((reason: unknown) => reason);
    assert.isTrue(isMlxdError(error, "CONNECTION"));
    assert.match(String(error), /nobody listens there/);
  });

  it("takes no call to one that is going away, and lets what runs on it come to its end", async () => {
    let finish = () => {};
    const held = new Promise<void>((resolve) => (finish = resolve));
    await using server = await startScriptedServer({
      async *stream() {
        const events = saying("a", "b");
        yield* events.slice(0, 2);
        await held;
        yield* events.slice(2);
      },
    });
    using client = createMlxdClient({ baseUrl: server.url, connections: 2, retry: false });
    const before = [client.stream("1"), client.stream("2"), client.stream("3")];
    for (const stream of before) await stream.next();
    server.goAway();
    const after = [client.stream("4"), client.stream("5")];
    for (const stream of after) await stream.next();
    assert.equal(server.connections(), 4);
    finish();
    for (const stream of [...before, ...after]) assert.equal((await stream.collect()).text, "ab");
  });

  it("has at least one, and not a hundred and one", () => {
    assert.throws(() => createMlxdClient({ connections: 0 }), "connections: 0 is not a whole number from 1 to 100");
    assert.throws(() => createMlxdClient({ connections: 101 }), "connections: 101 is not a whole number from 1 to 100");
  });
});
