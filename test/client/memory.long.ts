/** Memory of the client's process is flat over many calls, and over many connections; the server is a process of its own. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, describe, it } from "vitest";
import { startProgram } from "../../scripts/bench/start-program.ts";
import type { MlxdClient } from "../../src/client/index.ts";
import { type ClientKind, clientKinds } from "../support/client-kinds.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Bytes of the heap when everything that is garbage is gone. */
const heapBytes = async (): Promise<number> => {
  for (let turn = 0; turn < 5; turn++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return process.memoryUsage().heapUsed;
};

/** Does it a fifth of the times to grow warm, and then all of them; gives the bytes that each has left behind. */
const bytesLeftBy = async (times: number, once: () => Promise<unknown>): Promise<number> => {
  const repeat = async (count: number) => {
    for (let done = 0; done < count; done += 20) await Promise.all(Array.from({ length: 20 }, once));
  };
  await repeat(times / 5);
  const before = await heapBytes();
  await repeat(times);
  return ((await heapBytes()) - before) / times;
};

/** A server of this kind in a process of its own, and how to make clients of it. */
const start = async ({ createClient, httpVersion }: ClientKind, environment: Readonly<Record<string, string>> = {}) => {
  const { child, port } = await startProgram("bare-handler.ts", { HTTP_VERSION: httpVersion, ...environment });
  return {
    create: () => createClient(`http://127.0.0.1:${port}`, { retry: false }),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
};

const read = (client: MlxdClient) => client.stream("hi", { maxOutputTokens: 2 }).collect();

describe.each(clientKinds)("over $name", (kind) => {
  it("20,000 calls leave nothing behind", async () => {
    using server = await start(kind);
    using client = server.create();
    const left = await bytesLeftBy(20_000, () => read(client));
    process.stdout.write(`${kind.name}: ${left.toFixed(0)} bytes of heap left by a call\n`);
    assert.isBelow(left, 200);
  });

  it("2,000 reconnects leave nothing behind", async () => {
    // Clients over `fetch` share the runtime's connections: there it is the server that closes them.
    using server = await start(kind, { CALLS_PER_CONNECTION: "1" });
    const left = await bytesLeftBy(2_000, async () => {
      using client = server.create();
      await read(client);
    });
    process.stdout.write(`${kind.name}: ${left.toFixed(0)} bytes of heap left by a connection\n`);
    assert.isBelow(left, 2_000);
  });
});
