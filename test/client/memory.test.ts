/** What many calls leave behind: nothing. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, describe, it, vi } from "vitest";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { createInMemoryClient } from "../support/in-memory-client.ts";
import { saying } from "../support/scripted-events.ts";
import { untilLeft } from "../support/scripted-server.ts";

/** A signal that counts its listeners. */
const countingSignal = () => {
  const { signal } = new AbortController();
  const add = vi.spyOn(signal, "addEventListener");
  const remove = vi.spyOn(signal, "removeEventListener");
  const added = () => add.mock.calls.length;
  return { signal, added, listeners: () => added() - remove.mock.calls.length };
};

const client = createInMemoryClient({
  generate: () => ({ result: { candidates: [{ text: "a" }] } }),
  stream: () => saying("a"),
});

// Each must take back what it adds: a few hundred show that as well as many do, which memory.long.ts makes.
describe("calls with one signal", () => {
  const calls = 300;
  it.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    ["unary", (signal) => client.generate("hi", { signal })],
    ["read to their end", (signal) => client.stream("hi", { signal }).collect()],
    [
      "left in their midst",
      async (signal) => {
        for await (const _ of client.stream("hi", { signal }).textDeltas()) break;
      },
    ],
    ["never read", async (signal) => void client.stream("hi", { signal })],
    ["that fail", (signal) => client.tokenize("hi", { signal }).catch(() => {})],
  ])("%s leave no listener", async (name, call) => {
    const { signal, listeners, added } = countingSignal();
    for (let i = 0; i < calls; i++) await call(signal);
    assert.equal(listeners(), 0);
    assert.equal(added(), name === "never read" ? 0 : calls);
  });
});

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

/** Collects garbage until this holds. What a WeakRef gave out lives to the end of the turn, and finalizers run in one. */
const collectUntil = async (condition: () => boolean): Promise<void> => {
  while (!condition()) {
    await turn();
    gc();
    await turn();
  }
};

describe.each(clientKinds)("a stream over $name", (kind) => {
  it("that was read in part and forgotten is ended on the server when it is collected as garbage", async () => {
    await using pair = await connect(kind, {
      async *stream(_request, context) {
        yield* saying("a").slice(0, 2);
        await untilLeft(context);
      },
    });
    await (async () => void (await pair.client.stream("hi", { timeoutMs: 50_000_000 }).next()))();
    let isLeft = false;
    void (await pair.server.call(0)).left.then(() => (isLeft = true));
    await collectUntil(() => isLeft);
  });

  it("that is over is held by nobody", async () => {
    await using pair = await connect(kind, {
      async *stream() {
        yield* saying("a");
      },
    });
    const { signal } = new AbortController();
    const forgotten = await (async () => {
      const stream = pair.client.stream("hi", { signal, timeoutMs: 50_000_000 });
      await stream.collect();
      return new WeakRef(stream);
    })();
    await collectUntil(() => forgotten.deref() === undefined);
  });
});
