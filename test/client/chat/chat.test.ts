import { assert, describe, it } from "vitest";
import { createRouterTransport } from "@connectrpc/connect";

import { type ChatOptions, createMlxdClientFromTransport, defineTool, isMlxdError } from "../../../src/client/index.ts";
import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { TokenizerService } from "../../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { collect } from "../../support/collect.ts";
import { scriptedChat } from "../../support/scripted-chat.ts";

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "none",
    (error: unknown) => (isMlxdError(error) ? error.reason : String(error)),
  );

describe("a conversation", () => {
  it("keeps its turns and sends them with each new one", async () => {
    const { client, asked } = scriptedChat(["Hi.", "Mina."]);
    const chat = client.chat({ system: "Be brief.", parameters: { temperature: 0 } });
    assert.equal((await chat.say("I am Mina.")).text, "Hi.");
    const turn = chat.stream("Who am I?");
    const texts = (await collect(turn)).flatMap((event) => (event.type === "chunk" ? event.text : []));
    assert.deepEqual(texts, ["Mina."]);
    assert.deepEqual(asked[1], ["system: Be brief.", "user: I am Mina.", "assistant: Hi.", "user: Who am I?"]);
    assert.deepEqual(chat.messages, [
      { role: "user", content: "I am Mina." },
      { role: "assistant", content: "Hi." },
      { role: "user", content: "Who am I?" },
      { role: "assistant", content: "Mina." },
    ]);
    assert.deepEqual((await turn.collect()).messages, chat.messages);
  });

  it("runs its tools, and keeps their calls and results", async () => {
    const add = defineTool<{ a: number; b: number }>({ name: "add", run: ({ a, b }) => a + b });
    const { client, asked } = scriptedChat([[["add", '{"a":1,"b":2}']], "It is 3.", "Yes."]);
    const chat = client.chat({ tools: [add] });
    await chat.say("1+2?");
    await chat.say("Sure?");
    assert.deepEqual(asked[2], [
      "user: 1+2?",
      'assistant: add({"a":1,"b":2})',
      "tool: 3",
      "assistant: It is 3.",
      "user: Sure?",
    ]);
  });

  it("has its last answer made anew, in the place of the old one", async () => {
    const { client, asked, requests } = scriptedChat(["One.", "Two.", "Three."]);
    const chat = client.chat();
    assert.throws(() => chat.regenerate(), "there is no user message");
    await chat.say("Say a number.");
    await chat.regenerate({ seed: 5 }).collect();
    assert.deepEqual(asked[1], ["user: Say a number."]);
    assert.equal(requests[1]?.task?.sampling?.seed, 5);
    assert.deepEqual(chat.messages.at(-1), { role: "assistant", content: "Two." });
    assert.lengthOf(chat.messages, 2);
  });

  it("goes two ways from a fork on", async () => {
    const { client } = scriptedChat(["a", "b", "c"]);
    const chat = client.chat();
    await chat.say("1");
    const other = chat.fork();
    await Promise.all([chat.say("2"), other.say("3")]);
    assert.deepEqual(
      chat.messages.map(({ content }) => content),
      ["1", "a", "2", "b"],
    );
    assert.deepEqual(
      other.messages.map(({ content }) => content),
      ["1", "a", "3", "c"],
    );
    assert.equal(other.prefixKey, chat.prefixKey);
  });

  it("is saved as JSON and goes on from it", async () => {
    const { client, asked } = scriptedChat(["ok"]);
    const chat = client.chat({ system: "S", parameters: { seed: 1 }, templateOptions: { a: true } });
    await chat.say([{ text: "look" }, { image: new Uint8Array([1, 2, 255]), mediaType: "image/png" }]);
    const saved = JSON.stringify(chat);
    const restored = client.chat(JSON.parse(saved) as ChatOptions);
    assert.equal(JSON.stringify(restored), saved);
    assert.include(saved, '"data:image/png;base64,AQL/"');
    await restored.say("and?");
    assert.deepEqual(asked[1], ["system: S", "user: look", "assistant: ok", "user: and?"]);
    assert.equal(restored.prefixKey, chat.prefixKey);
  });

  it("stays as it was when a turn fails or is left, and takes the next one at once", async () => {
    const { client } = scriptedChat(["ok"]);
    const chat = client.chat();
    for await (const _ of chat.stream("left")) break;
    assert.deepEqual(chat.messages, []);
    await chat.say("kept");
    assert.equal(await reasonOf(chat.say("late", { signal: AbortSignal.abort() })), "CANCELLED");
    assert.equal(await reasonOf(chat.say("bad", { topP: Number.NaN })), "INVALID_FIELD");
    const cancelled = chat.stream("cancelled");
    await cancelled.next();
    cancelled.cancel();
    await chat.say("again");
    assert.deepEqual(
      chat.messages.map(({ content }) => content),
      ["kept", "ok", "again", "ok"],
    );
  });

  it("has one turn at a time", async () => {
    const { client } = scriptedChat(["ok"]);
    const chat = client.chat();
    const [first, early] = [chat.stream("1"), chat.stream("2")];
    await first.next();
    assert.equal(await reasonOf(chat.say("3")), "TURN_UNDER_WAY");
    assert.equal(await reasonOf(early.next()), "TURN_UNDER_WAY");
    assert.equal(await reasonOf(chat.trim({ maxPromptTokens: 1 })), "TURN_UNDER_WAY");
    await first.collect();
    assert.equal(await reasonOf(chat.say("4")), "none");
  });

  it("begins a turn where the conversation is when its stream is read, and not when it was made", async () => {
    const { client, asked } = scriptedChat(["one", "two", "three"]);
    const chat = client.chat();
    const [first, second] = [chat.stream("1"), chat.stream("2")];
    await first.collect();
    const again = chat.regenerate();
    await second.collect();
    await again.collect();
    assert.deepEqual(asked[2], ["user: 1", "assistant: one", "user: 2"]);
    assert.deepEqual(
      chat.messages.map(({ content }) => content),
      ["1", "one", "2", "three"],
    );
  });

  it("refuses options that are none", () => {
    const { client } = scriptedChat(["ok"]);
    assert.throws(() => client.chat({ sytem: "x" } as never), "sytem: there is no such option of a chat");
    assert.throws(() => client.chat({ system: 5 } as never), "system: 5 is not a string");
    assert.throws(() => client.chat({ prefixKey: "a\nb" }), "HTTP cannot send");
  });
});

describe("the prefix key of a conversation", () => {
  it("is sent with every turn, and is the same for what begins in the same way", async () => {
    const { client, headers } = scriptedChat(["ok"], { defaultModel: "m" });
    const tool = defineTool({ name: "now", run: () => "12:00" });
    const keyOf = (options?: ChatOptions) => client.chat(options).prefixKey;
    const chat = client.chat({ system: "S" });
    await chat.say("1");
    await chat.say("2", { headers: { "x-tenant": "t" } });
    assert.match(chat.prefixKey ?? "", /^[0-9a-f]{16}$/);
    assert.deepEqual(
      headers.map((each) => [each.get("x-prefix-key"), each.get("x-tenant")]),
      [
        [chat.prefixKey, null],
        [chat.prefixKey, "t"],
      ],
    );
    assert.equal(keyOf({ system: "S", messages: [{ role: "user", content: "other" }] }), chat.prefixKey);
    const others = [
      {},
      { system: "T" },
      { system: "S", tools: [tool] },
      { system: "S", parameters: { model: "n" } },
      { system: "S", parameters: { cache: { partition: "p" } } },
    ];
    assert.lengthOf(new Set([chat.prefixKey, ...others.map(keyOf)]), others.length + 1);
  });

  it("stays what it is from version to version", () => {
    const { client } = scriptedChat(["ok"], { defaultModel: "m" });
    assert.equal(client.chat({ system: "한국어 🍏" }).prefixKey, "1f0dcc89d1325695");
  });

  it("may be given, or left out", async () => {
    const { client, headers } = scriptedChat(["ok"]);
    await client.chat({ prefixKey: "session-7" }).say("1");
    await client.chat({ prefixKey: false }).say("1");
    assert.deepEqual(
      headers.map((each) => each.get("x-prefix-key")),
      ["session-7", null],
    );
  });
});

describe("a conversation that is trimmed", () => {
  /** A service that counts ten tokens for each message. */
  const counting = () => {
    let counts = 0;
    const transport = createRouterTransport(({ service }) => {
      service(TokenizerService, {
        countTokens: ({ task }) => {
          counts++;
          return { promptTokens: 10 * (task?.input.case === "chat" ? task.input.value.messages.length : 0) };
        },
      });
      service(GenerationService, {});
    });
    return { client: createMlxdClientFromTransport(transport), counts: () => counts };
  };
  const turn = (n: number) => [
    { role: "user", content: `q${n}` } as const,
    { role: "assistant", toolCalls: [{ id: "c", name: "t", arguments: "{}" }] } as const,
    { role: "tool", toolCallId: "c", content: "r" } as const,
    { role: "assistant", content: `a${n}` } as const,
  ];

  it.each([
    [1000, 0],
    [410, 0],
    [409, 4],
    [100, 32],
    [5, 36],
  ])("to %i tokens loses %i messages, in whole turns, and never the last", async (maxPromptTokens, dropped) => {
    const { client, counts } = counting();
    const chat = client.chat({ system: "S", messages: Array.from({ length: 10 }, (_, n) => turn(n)).flat() });
    assert.equal(await chat.trim({ maxPromptTokens }), dropped);
    assert.lengthOf(chat.messages, 40 - dropped);
    assert.equal(chat.messages[0]?.role, "user");
    assert.isAtMost(counts(), 4);
  });

  it("begins no turn meanwhile, which would be lost", async () => {
    const { client } = counting();
    const chat = client.chat({ messages: [...turn(0), ...turn(1)] });
    const trimmed = chat.trim({ maxPromptTokens: 40 });
    assert.equal(await reasonOf(chat.say("late")), "TURN_UNDER_WAY");
    assert.equal(await trimmed, 4);
    assert.equal(await reasonOf(chat.trim({ maxPromptTokens: 40 })), "none");
  });
});
