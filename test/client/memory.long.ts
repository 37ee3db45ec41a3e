/** Memory of the client's process is flat over many calls, and over many connections; the server is a process of its own. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { startProgram } from "../../scripts/bench/start-program.ts";
import { clientKinds } from "../support/client-kinds.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

let server: Awaited<ReturnType<typeof startProgram>>;
beforeAll(async () => {
  server = await startProgram("bare-handler.ts");
});
afterAll(() => void server.child.kill("SIGKILL"));

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

// The transport that keeps most: a session with its streams, and their timers.
describe.each(clientKinds.filter(({ name }) => name === "gRPC"))("over $name", (kind) => {
  const create = () => kind.createClient(`http://127.0.0.1:${server.port}`, { retry: false });

  it("20,000 calls leave nothing behind", async () => {
    using client = create();
    const left = await bytesLeftBy(20_000, () => client.stream("hi", { maxOutputTokens: 2 }).collect());
    process.stdout.write(`${kind.name}: ${left.toFixed(0)} bytes of heap left by a call\n`);
    assert.isBelow(left, 200);
  });

  it("2,000 reconnects leave nothing behind", async () => {
    const left = await bytesLeftBy(2_000, async () => {
      using client = create();
      await client.stream("hi", { maxOutputTokens: 2 }).collect();
    });
    process.stdout.write(`${kind.name}: ${left.toFixed(0)} bytes of heap left by a connection\n`);
    assert.isBelow(left, 2_000);
  });
});
