/** What the service refuses is told in the words of whoever gave it: `topP` was refused as `task.sampling.top_p`. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import {
  decodeError,
  type GenerationInput,
  type GenerationParameters,
  isMlxdError,
  type MlxdClient,
  type MlxdError,
} from "../../src/client/index.ts";
import { createMlxdClient } from "../../src/client/node.ts";
import { nameOptionsIn, optionName, taskOptionNames } from "../../src/client/option-names.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;
let client: MlxdClient;
beforeAll(async () => {
  server = await startTestServer();
  client = createMlxdClient({ baseUrl: server.url, retry: false });
});
afterAll(async () => {
  client.close();
  await server.close();
});

const refusalOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.catch((reason: unknown) => reason);
  assert(isMlxdError(error), String(error));
  return error;
};

const outOfBounds: readonly (readonly [GenerationParameters, string])[] = [
  [{ temperature: 9 }, "temperature"],
  [{ topP: 3 }, "topP"],
  [{ topK: 0 }, "topK"],
  [{ minP: -1 }, "minP"],
  [{ repetitionPenalty: 5 }, "repetitionPenalty"],
  [{ presencePenalty: 5 }, "presencePenalty"],
  [{ frequencyPenalty: -5 }, "frequencyPenalty"],
  [{ logitBias: [{ tokenId: 1, bias: 200 }] }, "logitBias[0].bias"],
  [{ candidateCount: 0 }, "candidateCount"],
  [{ maxOutputTokens: 0 }, "maxOutputTokens"],
  [{ maxOutputTokens: 3, minOutputTokens: 4 }, "minOutputTokens"],
  [{ stopSequences: ["a", ""] }, "stopSequences[1]"],
  [{ stopTokenIds: Array.from({ length: 65 }, (_, id) => id) }, "stopTokenIds"],
  [{ timeBudgetMs: 1e12 }, "timeBudgetMs"],
  [{ topLogprobs: 21 }, "topLogprobs"],
  [{ flushTokens: 0 }, "flushTokens"],
  [{ flushIntervalMs: 20_000 }, "flushIntervalMs"],
  [{ priority: 1001 }, "priority"],
  [{ fairnessId: "x".repeat(2000) }, "fairnessId"],
  [{ maxQueueWaitMs: 1e13 }, "maxQueueWaitMs"],
  [{ cache: { partition: "x".repeat(2000) } }, "cache.partition"],
  [{ constraint: { choices: [] } }, "constraint.choices"],
  [{ constraint: { regex: "" } }, "constraint.regex"],
  [{ model: "x".repeat(3000) }, "model"],
  [{ labels: { a: "x".repeat(3000) } }, 'labels["a"]'],
];

describe("the service's refusal of a parameter", () => {
  it.each(outOfBounds)("%j names the option", async (parameters, field) => {
    const error = await refusalOf(client.generate("hi", parameters));
    assert.equal(error.reason, "INVALID_FIELD", error.message);
    assert.equal(error.violations[0]?.field, field);
    assert.isTrue(error.message.startsWith(`${field}: `), error.message);
    assert.notMatch(error.message, /task\.|_/, "no name of the wire");
  });

  it("of a batch's item names the item too", async () => {
    const { items } = await client
      .batch([{ input: "a" }, { input: "b", topP: 3 }])
      .collect()
      .then(
        (result) => result,
        (error: MlxdError) => ({ items: [{ index: 1, error }] }),
      );
    const error = items.find(({ index }) => index === 1)?.error;
    assert.equal(error?.violations[0]?.field, "items[1].topP", error?.message);
  });

  it("of a task as the API has it keeps the task's own path", async () => {
    const task = { input: { case: "prompt", value: "a" }, sampling: { topP: 3 } } as const;
    assert.equal((await refusalOf(client.generate({ task }))).violations[0]?.field, "task.sampling.topP");
    const beside = await refusalOf(client.generate({ task: { ...task, sampling: {} } }, { topP: 3 }));
    assert.equal(beside.violations[0]?.field, "topP");
  });

  it("is the API's where the API's own clients are used", async () => {
    const task = { input: { case: "prompt", value: "a" }, sampling: { topP: 3 } } as const;
    const failed = await client.raw.generation.generate({ task }).catch((reason: unknown) => reason);
    const error = decodeError(failed);
    assert.equal(error.violations[0]?.field, "task.sampling.top_p");
  });
});

const inputs: readonly (readonly [GenerationInput, string])[] = [
  [{ messages: [{ role: "user", content: [{ text: "" }] }] }, "messages[0]"],
  [{ messages: [] }, "messages"],
  [{ messages: [{ role: "user", content: "a" }], tools: [{ name: "no name" }] }, "tools[0].name"],
  [{ messages: [{ role: "user", content: "a" }], toolChoice: { function: "" } }, "toolChoice.function"],
  [{ tokens: [] }, "tokens"],
  [{ prompt: "" }, "prompt"],
];

describe("the service's refusal of an input", () => {
  it.each(inputs)("%j names its place", async (input, field) => {
    const error = await refusalOf(client.countTokens(input));
    assert.equal(error.violations[0]?.field, field, error.message);
  });
});

describe("names", () => {
  it.each([
    ["task.input", "input"],
    ["task.tokens.ids[3]", "tokens[3]"],
    ["task.constraint.json_schema", "constraint.jsonSchema"],
    ["task.constraint.choice.choices[1]", "constraint.choices[1]"],
    ["task.reasoning.max_tokens", "reasoning.maxTokens"],
    ["task.chat.template_options.enable_thinking", "templateOptions.enable_thinking"],
    ["task.chat.tools[0].parameters.my_key", "tools[0].parameters.my_key"],
    ["task.chat.tools[0].parameters_json", "tools[0].parameters"],
    ["task.chat.messages[1].tool_calls[0].arguments", "messages[1].toolCalls[0].arguments"],
    ["task.chat.messages[0].content[0].image.data", "messages[0].content[0].image"],
    ["items[2].task.stop.stop_sequences[0]", "items[2].stopSequences[0]"],
    ["items[2].task.chat.messages[0].role", "items[2].input.messages[0].role"],
    ["items[2].item_id", "items[2].itemId"],
    ["inputs[1].text", "inputs[1]"],
    ["inputs[1].tokens.ids[2]", "inputs[1].tokens[2]"],
    ["scheduling.max_queue_wait", "maxQueueWaitMs"],
    ["idle_ttl", "idleTtlMs"],
    ["drain_timeout", "drainTimeoutMs"],
    ["generation_id", "generationId"],
  ])("%s is %s", (path, name) => {
    assert.equal(optionName(path), name);
  });

  it("of a text are the input's", () => {
    assert.equal(taskOptionNames("hi", {})("task.chat.messages[0].content[0].text"), "input");
    assert.equal(taskOptionNames("hi", {}, "items[1]")("items[1].task.chat.messages"), "items[1].input");
  });

  it("stand in sentences too, and what callers wrote stays", () => {
    const text = 'task.stop.min_output_tokens: 4 is over max_output_tokens; "top_p" and my_name stay';
    assert.equal(
      nameOptionsIn(text, optionName),
      'minOutputTokens: 4 is over maxOutputTokens; "top_p" and my_name stay',
    );
  });
});

describe("a signal that has fired", () => {
  it("before the call began fails it without a request", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    for (const call of [
      () => client.generate("a", { signal }),
      () => client.stream("a", { signal }).collect(),
      () => client.batch([{ input: "a" }], { signal }).collect(),
      () => client.prepareModel("a", { signal }).collect(),
      () => client.serverInfo({ signal }),
    ]) {
      const error = await refusalOf(call());
      assert.equal(error.reason, "CANCELLED");
      assert.equal((error.cause as Error).message, "too late");
    }
  });
});
