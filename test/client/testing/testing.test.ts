/** The scripted model that teams test with which use the client. */
import { assert, describe, it } from "vitest";
import { createTestClient, isMlxdError, type MlxdError } from "../../../src/client/testing/index.ts";
import { collect } from "../../support/collect.ts";

const failureOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!isMlxdError(error)) throw error;
  return error;
};

describe("a scripted model", () => {
  it("answers one after another, and notes what it was asked", async () => {
    const { client, asked } = createTestClient({ answers: ["one", { text: ["t", "wo"], reasoning: "hm" }] });
    assert.equal((await client.generate("first", { model: "m" })).text, "one");
    const second = client.stream({
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: "second" },
      ],
    });
    assert.deepEqual(await collect(second.textDeltas()), ["t", "wo"]);
    assert.equal((await second.collect()).reasoning, "hm");
    assert.equal((await client.generate("third")).text, "two");
    assert.deepEqual(
      asked.map(({ model, messages }) => [model, messages.map(({ role, text }) => `${role}: ${text}`)]),
      [
        ["m", ["user: first"]],
        ["", ["system: S", "user: second"]],
        ["", ["user: third"]],
      ],
    );
  });

  it("answers by what it is asked, in batches and objects too", async () => {
    const { client } = createTestClient({ answers: ({ messages }) => `{"said":"${messages.at(-1)?.text}"}` });
    const { object } = await client.generateObject<{ said: string }>({ required: ["said"] }, "hello");
    assert.deepEqual(object, { said: "hello" });
    const { items, summary } = await client.batch([{ input: "a" }, { input: "b", itemId: "x" }]).collect();
    assert.deepEqual(
      items.map(({ itemId, result }) => [itemId, result?.text]),
      [
        ["0", '{"said":"a"}'],
        ["x", '{"said":"b"}'],
      ],
    );
    assert.equal(summary.succeeded, 2);
  });

  it("calls tools", async () => {
    const { client } = createTestClient({
      answers: [{ toolCalls: [{ name: "now", arguments: { zone: "KST" } }] }, "12:00"],
    });
    const asked: unknown[] = [];
    const now = { name: "now", run: (args: unknown) => void asked.push(args) };
    const { text, rounds } = await client.runTools([now], "What time is it?").collect();
    assert.deepEqual([text, rounds, asked], ["12:00", 2, [{ zone: "KST" }]]);
  });

  it("fails before it has begun, or in the midst", async () => {
    const full = { reason: "QUEUE_FULL", code: "RESOURCE_EXHAUSTED", retryAfterMs: 50, message: "full" } as const;
    const { client } = createTestClient({
      answers: [
        { error: full },
        { text: "half", error: { reason: "ENGINE_LOST", code: "ABORTED" } },
        { error: { reason: "CONNECTION" } },
      ],
    });
    const { reason, code, retryAfterMs, message } = await failureOf(client.generate("?"));
    assert.deepEqual({ reason, code, retryAfterMs, message }, full);
    const stream = client.stream("?");
    const texts: string[] = [];
    const lost = await failureOf(
      (async () => {
        for await (const delta of stream.textDeltas()) texts.push(delta);
      })(),
    );
    assert.deepEqual([lost.reason, lost.progress?.lastSequence, texts], ["ENGINE_LOST", 1, ["half"]]);
    assert.equal((await failureOf(client.generate("?"))).reason, "CONNECTION");
  });

  it("fails an item of a batch and no other, unless the connection breaks", async () => {
    const full = { reason: "QUEUE_FULL", code: "RESOURCE_EXHAUSTED", retryAfterMs: 50, message: "full" } as const;
    const { client } = createTestClient({
      answers: ["a", { text: "half", error: full }, "c", { error: { reason: "CONNECTION" } }],
    });
    const { items, summary } = await client.batch([{ input: "1" }, { input: "2" }, { input: "3" }]).collect();
    assert.deepEqual(
      items.map(({ result, error }) => result?.text ?? error?.reason),
      ["a", "QUEUE_FULL", "c"],
    );
    const { reason, code, retryAfterMs, message } = items[1]?.error ?? assert.fail("no error");
    assert.deepEqual({ reason, code, retryAfterMs, message }, full);
    assert.deepInclude(summary, { succeeded: 2, failed: 1 });
    assert.equal((await failureOf(client.batch([{ input: "4" }]).collect())).reason, "CONNECTION");
  });

  it("is tried again where the options say so", async () => {
    const clock = { now: () => 0, random: () => 0, sleep: () => Promise.resolve() };
    const answers = [{ error: { reason: "DRAINING" as const } }, "ok"];
    const { client, asked } = createTestClient({ answers }, { retry: {}, clock });
    assert.equal((await client.generate("?")).text, "ok");
    assert.lengthOf(asked, 2);
  });

  it("takes its time, and not a moment longer than its caller", async () => {
    const { client } = createTestClient({
      answers: [
        { text: ["a", "b"], delayMs: 1 },
        { text: "c", delayMs: 3_600_000 },
      ],
    });
    assert.equal((await client.stream("?").collect()).text, "ab");
    assert.equal((await failureOf(client.generate("?", { timeoutMs: 20 }))).reason, "DEADLINE");
    const stream = client.stream("?");
    await stream.next();
    const next = failureOf(stream.next());
    stream.cancel();
    assert.equal((await next).reason, "CANCELLED");
  });

  it("counts, makes vectors and is listed", async () => {
    const { client } = createTestClient({ answers: [""], model: "m" });
    assert.equal((await client.countTokens("one two  three")).promptTokens, 3);
    const [a, b, c] = (await client.embed(["x", "x", "y"])).embeddings;
    assert.deepEqual(a, b);
    assert.notDeepEqual(a?.values, c?.values);
    assert.deepEqual([(await client.listModels())[0]?.id, (await client.getModel()).state], ["m", "active"]);
    assert.equal((await failureOf(client.stats())).code, "UNIMPLEMENTED");
  });
});
