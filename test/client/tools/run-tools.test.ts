import { assert, describe, expectTypeOf, it } from "vitest";
import * as z from "zod";
import { defineTool, isMlxdError, type MlxdError, type ToolRunEvent } from "../../../src/client/index.ts";
import { collect } from "../../support/collect.ts";
import { type ScriptedAnswer, scriptedChat } from "../../support/scripted-chat.ts";

const weather = defineTool({
  name: "weather",
  description: "The weather of a city.",
  parameters: z.object({ city: z.string() }),
  run: ({ city }) => {
    expectTypeOf(city).toEqualTypeOf<string>();
    return { city, celsius: 21 };
  },
});

const failureOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!isMlxdError(error)) throw error;
  return error;
};

/** Each step in a few words. */
const told = (event: ToolRunEvent): string => {
  switch (event.type) {
    case "tool_call":
      return `${event.round} call ${event.call.id}`;
    case "tool_result":
      return `${event.round} result ${event.call.id} ${event.content}`;
    case "chunk":
      return `${event.round} ${event.text}`;
    default:
      return `${event.round} ${event.type}`;
  }
};

interface Running {
  readonly city: string;
  readonly signal: AbortSignal;
  readonly done: (text: string) => void;
}

/** A tool that answers when it is told to. */
const held = () => {
  const running: Running[] = [];
  const waiting = new Map<number, () => void>();
  const tool = defineTool<{ city: string }>({
    name: "weather",
    run: ({ city }, { signal }) => new Promise<string>((done) => waiting.get(running.push({ city, signal, done }))?.()),
  });
  /** Settles when this many have begun. */
  const begun = (count: number) =>
    new Promise<void>((resolve) => (running.length >= count ? resolve() : waiting.set(count, resolve)));
  return { running, begun, tool };
};

/** Lets everything happen that waits for nothing. */
const settled = async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const twoCities: ScriptedAnswer = [
  ["weather", '{"city":"Seoul"}'],
  ["weather", '{"city":"Busan"}'],
];

describe("a run of tools", () => {
  it("goes on until the model answers, and tells every step", async () => {
    const { client, asked, requests } = scriptedChat([twoCities, "Warm."]);
    const run = client.runTools([weather], "How is the weather?", { temperature: 0 });
    assert.deepEqual((await collect(run)).map(told), [
      "1 started",
      "1 ",
      "1 finished",
      "1 call test-call-1-0",
      "1 call test-call-1-1",
      '1 result test-call-1-0 {"city":"Seoul","celsius":21}',
      '1 result test-call-1-1 {"city":"Busan","celsius":21}',
      "2 started",
      "2 Warm.",
      "2 finished",
    ]);
    assert.deepEqual(asked[1], [
      "user: How is the weather?",
      'assistant: weather({"city":"Seoul"}) weather({"city":"Busan"})',
      'tool: {"city":"Seoul","celsius":21}',
      'tool: {"city":"Busan","celsius":21}',
    ]);
    const { text, rounds, totalUsage, usage, messages } = await run.collect();
    assert.deepEqual([text, rounds, usage.outputTokens, totalUsage.outputTokens], ["Warm.", 2, 1, 2]);
    assert.deepEqual(messages.at(-1), { role: "assistant", content: "Warm." });
    for (const { task } of requests) assert.equal(task?.sampling?.temperature, 0);
    const input = requests[0]?.task?.input;
    const tools = input?.case === "chat" ? input.value.tools : [];
    assert.deepEqual(
      tools.map(({ name, description }) => [name, description]),
      [["weather", "The weather of a city."]],
    );
    assert.deepNestedInclude(tools[0]?.parameters, { "properties.city.type": "string", required: ["city"] });
  });

  it("asks for a call in its first round alone", async () => {
    const { client, requests } = scriptedChat([twoCities, "Warm."]);
    await client
      .runTools([weather], { messages: [{ role: "user", content: "?" }] }, { toolChoice: "required" })
      .collect();
    const choices = requests.map(({ task }) => task?.input.case === "chat" && task.input.value.toolChoice?.choice.case);
    assert.deepEqual(choices, ["mode", undefined]);
  });

  it.each<[string, ScriptedAnswer, string]>([
    ["that throws", [["fails", "{}"]], "Error: no network"],
    [
      "whose arguments do not fit",
      [["weather", '{"city":5}']],
      "Error: the arguments do not match the schema: city: Invalid input: expected string, received number; it is 5",
    ],
    ["whose arguments are no JSON", [["weather", "{"]], "Error: the arguments are not valid JSON"],
    ["that is none", [["time", "{}"]], "Error: there is no tool time"],
    ["that returns what JSON cannot hold", [["big", ""]], "Error: result: 5n cannot be written as JSON"],
  ])("tells the model of a tool %s, or ends with it", async (_, answer, content) => {
    const fails = defineTool({ name: "fails", run: () => Promise.reject(new Error("no network")) });
    const big = defineTool({ name: "big", run: () => 5n as never });
    const tools = [weather, fails, big];
    const { client, asked } = scriptedChat([answer, "Sorry."]);
    const events = await collect(client.runTools(tools, "?"));
    const result = events.find((event) => event.type === "tool_result");
    assert.equal(result?.content, content);
    assert.equal(result?.error?.reason, "TOOL_FAILED");
    assert.equal(asked[1]?.at(-1), `tool: ${content}`);
    const other = scriptedChat([answer, "Sorry."]);
    const error = await failureOf(other.client.runTools(tools, "?", { onToolError: "throw" }).collect());
    assert.equal(error.reason, "TOOL_FAILED");
    assert.equal(`Error: ${error.metadata["problem"]}`, content);
    assert.lengthOf(other.requests, 1);
  });

  it("gives a tool a time, after which its signal fires", async () => {
    const { tool, running } = held();
    const { client } = scriptedChat([[["weather", "{}"]], "Sorry."]);
    const events = await collect(client.runTools([tool], "?", { toolTimeoutMs: 1 }));
    assert.equal(events.find((event) => event.type === "tool_result")?.content, "Error: it took longer than 1 ms");
    assert.isTrue(running[0]?.signal.aborted);
  });

  it("has a time of its own", async () => {
    const { tool, running } = held();
    const { client } = scriptedChat([[["weather", "{}"]]]);
    const error = await failureOf(client.runTools([tool], "?", { timeoutMs: 50, onToolError: "tell" }).collect());
    assert.equal(error.reason, "DEADLINE");
    if (running.length > 0) assert.isTrue(running[0]?.signal.aborted);
  });

  it("ends a model that calls tools again and again", async () => {
    const { client, requests } = scriptedChat([twoCities]);
    const error = await failureOf(client.runTools([weather], "?", { maxRounds: 3 }).collect());
    assert.equal(error.reason, "TOO_MANY_ROUNDS");
    assert.lengthOf(requests, 3);
  });

  it("runs as many tools at once as it may, and tells of them in the order of their calls", async () => {
    const { tool, running, begun } = held();
    const cities = ["A", "B", "C"].map((city) => ["weather", JSON.stringify({ city })] as const);
    const { client, asked } = scriptedChat([cities, "Done."]);
    const result = client.runTools([tool], "?", { maxParallelCalls: 2 }).collect();
    await begun(2);
    await settled();
    assert.deepEqual(
      running.map(({ city }) => city),
      ["A", "B"],
    );
    running[1]?.done("b");
    await settled();
    assert.lengthOf(running, 2);
    running[0]?.done("a");
    await begun(3);
    running[2]?.done("c");
    await result;
    assert.deepEqual(asked[1]?.slice(-3), ["tool: a", "tool: b", "tool: c"]);
  });

  it.each<[string, (stop: { run: AsyncIterator<ToolRunEvent> & { cancel: () => void }; abort: () => void }) => void]>([
    ["its signal", ({ abort }) => abort()],
    ["cancel", ({ run }) => run.cancel()],
    ["return", ({ run }) => void run.return?.()],
  ])("that is ended by %s ends the tools that are running, also those that do not listen", async (how, stop) => {
    const { tool, running, begun } = held();
    const { client } = scriptedChat([twoCities]);
    const controller = new AbortController();
    const run = client.runTools([tool], "?", { signal: controller.signal });
    const events = collect(run).then(
      () => "done",
      (error: unknown) => (isMlxdError(error) ? error.reason : error),
    );
    await begun(2);
    stop({ run, abort: () => controller.abort() });
    assert.equal(await events, how === "return" ? "done" : "CANCELLED");
    await settled();
    assert.deepEqual(
      running.map(({ signal }) => signal.aborted),
      [true, true],
    );
  });

  it("refuses what it cannot run, at once", () => {
    const { client } = scriptedChat(["x"]);
    const refused =
      (tools: unknown, input: unknown = "?", options: object = {}) =>
      () =>
        client.runTools(tools as never, input as never, options);
    assert.throws(refused([{ name: "a" }]), "tools[0].run: undefined is not a function");
    assert.throws(refused([weather, weather]), 'tools[1].name: "weather" occurs twice');
    assert.throws(refused([{ name: "a", parameters: 5, run: () => 1 }]), "tools[0].parameters: 5 is not an object");
    assert.throws(
      refused([weather], { messages: [], tools: [] }),
      "tools: pass the tools of a run as its first argument",
    );
    assert.throws(
      refused([weather], { messages: [], toolChoice: "auto" }),
      "toolChoice: pass it as an option of the run",
    );
    assert.throws(refused([weather], "?", { maxRounds: 0 }), "maxRounds: 0 is not a whole number from 1 to 100");
    assert.throws(
      refused([weather], "?", { onToolError: "ignore" }),
      'onToolError: "ignore" is not one of tell, throw',
    );
    assert.throws(refused([weather], "?", { constraint: { regex: "a" } }), "constraint: there is no such option");
    assert.throws(refused([weather], "?", { topQ: 1 }), "topQ: there is no such option");
    assert.throws(refused([weather], { messages: "hi" }), 'messages: "hi" is not an array');
  });
});
