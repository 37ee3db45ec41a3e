/**
 * What becomes of a call when the connection does not hold. Each transport of Connect tells the same misfortune in its
 * own way, and none as what it is: a server that dies mid-stream shows as canceled, aborted, unknown ("terminated") or
 * invalid_argument ("missing EndStreamResponse").
 */
import { assert, describe, it } from "vitest";
import { isMlxdError, type MlxdError } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { chunkEvent, finishedEvent, numbered, startedEvent } from "../support/scripted-events.ts";
import { type Script, untilLeft } from "../support/scripted-server.ts";

const failure = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  assert(isMlxdError(error), String(error));
  return error;
};

const assertConnection = (error: MlxdError): void => {
  assert.equal(error.reason, "CONNECTION", error.message);
  assert.equal(error.code, "UNAVAILABLE");
};

const endless: Script = {
  async *stream(_request, context) {
    yield* numbered([startedEvent(), chunkEvent("a", 1)]);
    await untilLeft(context);
  },
  generate: async (_request, context) => {
    await untilLeft(context);
    return {};
  },
};

const answering = (status: number, headers: Record<string, string>, body = ""): Script => ({
  answer: () => ({ status, headers, body }),
});

describe.each(clientKinds)("over $name", (kind) => {
  describe.each(["close", "reset"] as const)("a server whose sockets %s", (how) => {
    it("leaves a stream UNAVAILABLE, with what had come", async () => {
      await using pair = await connect(kind, endless);
      const stream = pair.client.stream("hi");
      const read = async () => {
        for await (const event of stream) if (event.type === "chunk") pair.server.kill(how);
      };
      const error = await failure(read());
      assertConnection(error);
      assert.deepEqual(error.progress, {
        generationId: "generation-1",
        usage: { promptTokens: 7, cachedPromptTokens: 0, outputTokens: 1 },
        lastSequence: 1,
        text: "a",
      });
      assert.equal(await failure(stream.collect()), error);
    });

    it("leaves a call without an answer UNAVAILABLE", async () => {
      await using pair = await connect(kind, endless);
      const generated = pair.client.generate("hi");
      await pair.server.call(0);
      pair.server.kill(how);
      assertConnection(await failure(generated));
    });
  });

  it("a server that does not listen is UNAVAILABLE", async () => {
    await using pair = await connect(kind, endless);
    pair.server.kill();
    assertConnection(await failure(pair.client.generate("hi")));
    assertConnection(await failure(pair.client.stream("hi").collect()));
  });

  it.each([
    ["ends too early", false],
    ["breaks off", true],
  ])("a stream that %s is UNAVAILABLE", async (_, isCut) => {
    await using pair = await connect(kind, {
      answer: (contentType) => ({ status: 200, headers: { "content-type": contentType }, isCut }),
    });
    assertConnection(await failure(pair.client.stream("hi").collect()));
  });

  it.each([502, 503, 504])("HTTP status %s of a load balancer is UNAVAILABLE", async (status) => {
    await using pair = await connect(kind, answering(status, { "content-type": "text/html" }, "<h1>sorry</h1>"));
    assertConnection(await failure(pair.client.stream("hi").collect()));
    assertConnection(await failure(pair.client.generate("hi")));
  });

  it("the answer of another kind of server is a PROTOCOL error", async () => {
    await using pair = await connect(kind, answering(200, { "content-type": "text/html" }, "<h1>hello</h1>"));
    assert.equal((await failure(pair.client.generate("hi"))).reason, "PROTOCOL");
    assert.equal((await failure(pair.client.stream("hi").collect())).reason, "PROTOCOL");
  });

  it("a redirect is a PROTOCOL error", async () => {
    await using pair = await connect(kind, answering(302, { location: "https://elsewhere.example/" }));
    const error = await failure(pair.client.generate("hi"));
    assert.equal(error.reason, "PROTOCOL");
    if (kind.name.startsWith("fetch")) assert.include(error.message, "https://elsewhere.example/");
  });

  it("a call that does not exist on the server is UNIMPLEMENTED", async () => {
    await using pair = await connect(kind, {});
    assert.equal((await failure(pair.client.generate("hi"))).code, "UNIMPLEMENTED");
  });
});

// JSON can hold such numbers: there the service refuses them.
describe.each(clientKinds.filter(({ name }) => !name.includes("JSON")))("over $name", (kind) => {
  it("a number that the API cannot hold is refused with its field", async () => {
    await using pair = await connect(kind, endless);
    const error = await failure(pair.client.generate("hi", { seed: 1.5 }));
    assert.equal(error.reason, "INVALID_FIELD");
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ["seed"],
    );
    assert.lengthOf(pair.server.calls, 0);
  });
});

describe.each(clientKinds.filter(({ httpVersion }) => httpVersion === "2"))("over $name", (kind) => {
  it("a stream is finished after the server said goodbye, and the next call opens a new connection", async () => {
    let finish = () => {};
    const mayFinish = new Promise<void>((resolve) => (finish = resolve));
    await using pair = await connect(kind, {
      async *stream() {
        yield { ...startedEvent(), sequence: 0 };
        await mayFinish;
        yield* [chunkEvent("a", 1), finishedEvent(1)].map((event, index) => ({ ...event, sequence: index + 1 }));
      },
    });
    const stream = pair.client.stream("hi");
    await stream.next();
    pair.server.goAway();
    finish();
    assert.equal((await stream.collect()).text, "a");
    assert.equal((await pair.client.stream("hi").collect()).text, "a");
    assert.equal(pair.server.connections(), 2);
  });

  it("all calls share one connection", async () => {
    await using pair = await connect(kind, { models: { listModels: () => ({}) } });
    await pair.client.listModels();
    await Promise.all(Array.from({ length: 20 }, () => pair.client.listModels()));
    assert.equal(pair.server.connections(), 1);
  });
});
