import { constants } from "node:http2";
import { assert, describe, it } from "vitest";
import { type GenerationEvent, isMlxdError } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { collect } from "../support/collect.ts";
import { chunkEvent, finishedEvent, numbered, saying, startedEvent } from "../support/scripted-events.ts";
import { type Script, untilLeft } from "../support/scripted-server.ts";

/** Starts, says "a", and then waits until the caller leaves. */
const endless: Script = {
  async *stream(_request, context) {
    yield* numbered([startedEvent(), chunkEvent("a", 1)]);
    await untilLeft(context);
  },
};

const whole = (...pieces: string[]): Script => ({
  async *stream() {
    yield* saying(...pieces);
  },
});

describe.each(clientKinds)("a stream over $name", (kind) => {
  it("brings the events in order", async () => {
    await using pair = await connect(kind, whole("Hel", "", "lo"));
    const events: GenerationEvent[] = [];
    for await (const event of pair.client.stream("hi")) events.push(event);
    assert.deepEqual(
      events.map((event) => (event.type === "chunk" ? event.text : event.type)),
      ["started", "Hel", "", "lo", "finished"],
    );
  });

  it("brings the text without empty pieces, and the whole result afterwards", async () => {
    await using pair = await connect(kind, whole("Hel", "", "lo"));
    const stream = pair.client.stream("hi");
    assert.isUndefined(stream.generationId);
    const deltas = await collect(stream.textDeltas());
    assert.deepEqual(deltas, ["Hel", "lo"]);
    assert.equal(stream.generationId, "generation-1");
    const result = await stream.collect();
    assert.equal(result.text, "Hello");
    assert.equal(result.finishReason, "end_of_sequence");
    assert.deepEqual(result.usage, { promptTokens: 7, cachedPromptTokens: 0, outputTokens: 4 });
    assert.lengthOf(pair.server.calls, 1);
  });

  it("is collected from where its reader stopped", async () => {
    await using pair = await connect(kind, whole("Hel", "lo"));
    const stream = pair.client.stream("hi");
    await stream.next();
    await stream.next();
    assert.equal((await stream.collect()).text, "Hello");
  });

  it("brings each event when it is sent, not when the stream is over", async () => {
    let said = () => {};
    const heard = new Promise<void>((resolve) => (said = resolve));
    await using pair = await connect(kind, {
      async *stream() {
        yield* numbered([startedEvent(), chunkEvent("a", 1)]);
        await heard;
        yield { ...finishedEvent(1), sequence: 2 };
      },
    });
    const stream = pair.client.stream("hi");
    for await (const delta of stream.textDeltas()) {
      assert.equal(delta, "a");
      said();
    }
    assert.equal((await stream.collect()).text, "a");
  });

  it("ends on the server when its loop is left by break", async () => {
    await using pair = await connect(kind, endless);
    for await (const _ of pair.client.stream("hi")) break;
    await (
      await pair.server.call(0)
    ).left;
  });

  it("ends on the server when its loop is left by return", async () => {
    await using pair = await connect(kind, endless);
    const first = async (): Promise<string | undefined> => {
      for await (const delta of pair.client.stream("hi").textDeltas()) return delta;
      return undefined;
    };
    assert.equal(await first(), "a");
    await (
      await pair.server.call(0)
    ).left;
  });

  it("ends on the server when its loop is left by an error, which is passed on", async () => {
    await using pair = await connect(kind, endless);
    const mine = new Error("mine");
    const read = async () => {
      for await (const _ of pair.client.stream("hi")) throw mine;
    };
    assert.equal(await read().catch((error: unknown) => error), mine);
    await (
      await pair.server.call(0)
    ).left;
  });

  it("ends on the server at the end of an await using block", async () => {
    await using pair = await connect(kind, endless);
    {
      await using stream = pair.client.stream("hi");
      await stream.next();
    }
    await (
      await pair.server.call(0)
    ).left;
  });

  it("ends on the server when its iterator is told to throw", async () => {
    await using pair = await connect(kind, endless);
    const mine = new Error("mine");
    const deltas = pair.client.stream("hi").textDeltas();
    await deltas.next();
    assert.equal(await deltas.throw?.(mine).catch((error: unknown) => error), mine);
    await (
      await pair.server.call(0)
    ).left;
  });

  it("can be left while its reader waits for the next event", async () => {
    await using pair = await connect(kind, endless);
    const deltas = pair.client.stream("hi").textDeltas();
    await deltas.next();
    const waiting = deltas.next();
    await deltas.return?.();
    assert.deepEqual(await waiting, { done: true, value: undefined });
    await (
      await pair.server.call(0)
    ).left;
  });

  it("fails with CANCELLED when it is cancelled, and says how far it had come", async () => {
    await using pair = await connect(kind, endless);
    const stream = pair.client.stream("hi");
    const mine = new Error("enough");
    const read = async () => {
      for await (const event of stream) if (event.type === "chunk") stream.cancel(mine);
    };
    const error = await read().catch((reason: unknown) => reason);
    assert(isMlxdError(error, "CANCELLED"));
    assert.equal(error.code, "CANCELLED");
    assert.equal(error.cause, mine);
    assert.equal(error.progress?.generationId, "generation-1");
    assert.equal(error.progress?.usage.outputTokens, 1);
    assert.equal(error.progress?.lastSequence, 1);
    await (
      await pair.server.call(0)
    ).left;
  });

  it("fails with CANCELLED when it is cancelled while its reader waits", async () => {
    await using pair = await connect(kind, endless);
    const stream = pair.client.stream("hi");
    await stream.next();
    await stream.next();
    const waiting = stream.next().catch((reason: unknown) => reason);
    stream.cancel();
    assert(isMlxdError(await waiting, "CANCELLED"));
    await (
      await pair.server.call(0)
    ).left;
  });

  it("cannot be collected after it was left", async () => {
    await using pair = await connect(kind, endless);
    const stream = pair.client.stream("hi");
    for await (const _ of stream) break;
    assert(isMlxdError(await stream.collect().catch((reason: unknown) => reason), "CANCELLED"));
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
  });

  it("fails with CANCELLED when the caller's signal fires before it was opened, and calls nobody", async () => {
    let asked = 0;
    const headers = () => ({ "x-asked": String(++asked) });
    await using pair = await connect(kind, endless, { headers });
    const mine = new Error("mine");
    const error = await pair.client
      .stream("hi", { signal: AbortSignal.abort(mine) })
      .collect()
      .catch((reason: unknown) => reason);
    assert(isMlxdError(error, "CANCELLED"));
    assert.equal(error.cause, mine);
    assert.equal(asked, 0);
    assert.equal(pair.server.connections(), 0);
  });

  it("fails with CANCELLED when the caller's signal fires before the first event", async () => {
    await using pair = await connect(kind, {
      // eslint-disable-next-line require-yield -- it never says anything
      async *stream(_request, context) {
        await untilLeft(context);
      },
    });
    const controller = new AbortController();
    const collected = pair.client.stream("hi", { signal: controller.signal }).collect();
    const call = await pair.server.call(0);
    controller.abort();
    assert(isMlxdError(await collected.catch((reason: unknown) => reason), "CANCELLED"));
    await call.left;
  });

  it("fails with CANCELLED when the caller's signal fires between events", async () => {
    await using pair = await connect(kind, endless);
    const controller = new AbortController();
    const stream = pair.client.stream("hi", { signal: controller.signal });
    const read = async () => {
      for await (const event of stream) if (event.type === "chunk") controller.abort(new TypeError("mine"));
    };
    const error = await read().catch((reason: unknown) => reason);
    assert(isMlxdError(error, "CANCELLED"));
    assert(error.cause instanceof TypeError);
    await (
      await pair.server.call(0)
    ).left;
  });

  it("does not mind a signal that fires after its end", async () => {
    await using pair = await connect(kind, whole("a"));
    const controller = new AbortController();
    const stream = pair.client.stream("hi", { signal: controller.signal });
    await stream.collect();
    controller.abort();
    stream.cancel();
    assert.equal((await stream.collect()).text, "a");
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
  });

  it("is not opened before it is read", async () => {
    await using pair = await connect(kind, endless);
    const stream = pair.client.stream("hi");
    await stream.return();
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
    assert.equal(pair.server.connections(), 0);
  });

  it("gives out events in order to a reader who asks ahead", async () => {
    await using pair = await connect(kind, whole("a", "b"));
    const stream = pair.client.stream("hi");
    const results = await Promise.all(Array.from({ length: 6 }, () => stream.next()));
    assert.deepEqual(
      results.map(({ value }) => value?.type),
      ["started", "chunk", "chunk", "finished", undefined, undefined],
    );
  });

  it("ends on the server when the client is closed", async () => {
    await using pair = await connect(kind, endless);
    const stream = pair.client.stream("hi");
    await stream.next();
    pair.client.close();
    const error = await stream.collect().catch((reason: unknown) => reason);
    assert(isMlxdError(error, "CANCELLED"));
    await (
      await pair.server.call(0)
    ).left;
  });
});

describe.each(clientKinds.filter(({ httpVersion }) => httpVersion === "2"))("a stream over $name", (kind) => {
  it("is left with HTTP/2's code for that, whatever the caller's reason is", async () => {
    await using pair = await connect(kind, endless);
    for await (const _ of pair.client.stream("hi")) break;
    const controller = new AbortController();
    const { signal } = controller;
    const read = async () => {
      for await (const _ of pair.client.stream("hi", { signal })) controller.abort(new TypeError("mine"));
    };
    assert(isMlxdError(await read().catch((error: unknown) => error), "CANCELLED"));
    while (pair.server.closeCodes.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(pair.server.closeCodes, [constants.NGHTTP2_CANCEL, constants.NGHTTP2_CANCEL]);
  });
});

describe.each(clientKinds)("a unary call over $name", (kind) => {
  it("ends on the server when the caller's signal fires", async () => {
    await using pair = await connect(kind, {
      generate: async (_request, context) => {
        await untilLeft(context);
        return {};
      },
    });
    const controller = new AbortController();
    const generated = pair.client.generate("hi", { signal: controller.signal });
    const call = await pair.server.call(0);
    controller.abort(new Error("mine"));
    const error = await generated.catch((reason: unknown) => reason);
    assert(isMlxdError(error, "CANCELLED"));
    assert.equal((error.cause as Error).message, "mine");
    await call.left;
  });
});

describe("connect-es itself", () => {
  // Why the client has streams of its own. Should this test fail one day, they may become simpler.
  it("does not end a call on the server when the loop over it is left", async () => {
    for (const kind of clientKinds) {
      await using pair = await connect(kind, endless);
      for await (const _ of pair.client.raw.generation.streamGenerate({})) break;
      const { left } = await pair.server.call(0);
      const one = await pair.client.raw.generation.generate({}).catch(() => "a round trip later");
      assert.equal(
        await Promise.race([left.then(() => "left"), Promise.resolve(one)]),
        "a round trip later",
        kind.name,
      );
    }
  });
});
