import { create, type DescMessage, equals, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { assert, describe, it } from "vitest";
import {
  CachePolicy_Mode,
  CachePolicySchema,
  ChatInputSchema,
  ChatMessageSchema,
  type GenerationTask,
  GenerationTaskSchema,
  OutputConstraintSchema,
  OutputOptionsSchema,
  ReasoningOptions_Effort,
  Role,
  SamplingParamsSchema,
  SchedulingHintsSchema,
  StopCriteriaSchema,
  ToolChoice_Mode,
  ContextPolicy,
} from "../../src/client/gen/mlxd/v1/types_pb.ts";
import {
  type Constraint,
  type GenerationInput,
  type GenerationParameters,
  isMlxdError,
} from "../../src/client/index.ts";
import { createTask } from "../../src/client/task.ts";

/** What arrives at the service. */
const sent = (...args: Parameters<typeof createTask>): GenerationTask =>
  fromBinary(GenerationTaskSchema, toBinary(GenerationTaskSchema, createTask(...args)));

const assertTask = (
  task: GenerationTask,
  expected: Parameters<typeof create<typeof GenerationTaskSchema>>[1],
): void => {
  assert.deepEqual(task, create(GenerationTaskSchema, expected));
};

const all = {
  model: "demo",
  alternatives: ["other"],
  contextPolicy: "summarise",
  modelRevision: "r1",
  adapter: "lora",
  temperature: 0,
  topP: 0.9,
  topK: 40,
  minP: 0.05,
  repetitionPenalty: 1.1,
  presencePenalty: -1,
  frequencyPenalty: 0.5,
  seed: 4_294_967_295,
  logitBias: [{ tokenId: 3, bias: -100 }],
  candidateCount: 2,
  maxOutputTokens: 16,
  minOutputTokens: 0,
  stopSequences: ["\n\n"],
  replaceModelStops: true,
  stopTokenIds: [2],
  ignoreEos: false,
  includeStopInOutput: true,
  timeBudgetMs: 1_500,
  tokenIds: true,
  topLogprobs: 0,
  promptLogprobs: true,
  echoPrompt: true,
  flushTokens: 4,
  flushIntervalMs: 0.5,
  timings: true,
  verbatim: true,
  reasoning: { maxTokens: 64, effort: "low" },
  constraint: { regex: "[0-9]+" },
  priority: -3,
  fairnessId: "team",
  maxQueueWaitMs: 250,
  cache: { mode: "read_only", partition: "tenant", stablePrefixTokens: 12 },
  labels: { job: "nightly" },
} as const satisfies Required<GenerationParameters>;

describe("an input", () => {
  it("that is a text is a conversation of one user's message", () => {
    assertTask(sent("2+2?"), {
      input: {
        case: "chat",
        value: { messages: [{ role: Role.USER, content: [{ part: { case: "text", value: "2+2?" } }] }] },
      },
    });
  });

  it("can be a raw prompt", () => {
    assertTask(sent({ prompt: "Once" }), { input: { case: "prompt", value: "Once" } });
  });

  it("can be token ids, also as a typed array", () => {
    const expected = { input: { case: "tokens" as const, value: { ids: [1, 2, 3] } } };
    assertTask(sent({ tokens: [1, 2, 3] }), expected);
    assertTask(sent({ tokens: Uint32Array.of(1, 2, 3) }), expected);
  });

  it("can be a whole conversation with tools and images", () => {
    const schema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] } as const;
    const task = sent({
      messages: [
        { role: "system", content: "Be brief." },
        {
          role: "user",
          name: "Ada",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image", image: Uint8Array.of(1, 2), mediaType: "image/png" },
            { type: "image", image: new URL("https://example.com/a.png") },
            { type: "image", image: "data:image/png;base64,AQI=" },
          ],
        },
        { role: "assistant", reasoning: "hm", toolCalls: [{ id: "c1", name: "look", arguments: '{"a":1}' }] },
        { role: "tool", toolCallId: "c1", content: "a cat" },
        { role: "developer", content: "" },
      ],
      tools: [{ name: "look", description: "Looks.", parameters: schema }, { name: "bare" }],
      toolChoice: { function: "look" },
      templateOptions: { enable_thinking: false },
      continueFinalMessage: true,
    });
    assertTask(task, {
      input: {
        case: "chat",
        value: {
          messages: [
            { role: Role.SYSTEM, content: [{ part: { case: "text", value: "Be brief." } }] },
            {
              role: Role.USER,
              name: "Ada",
              content: [
                { part: { case: "text", value: "What is this?" } },
                {
                  part: {
                    case: "image",
                    value: { source: { case: "data", value: Uint8Array.of(1, 2) }, mediaType: "image/png" },
                  },
                },
                { part: { case: "image", value: { source: { case: "url", value: "https://example.com/a.png" } } } },
                { part: { case: "image", value: { source: { case: "url", value: "data:image/png;base64,AQI=" } } } },
              ],
            },
            {
              role: Role.ASSISTANT,
              reasoning: "hm",
              toolCalls: [{ id: "c1", name: "look", arguments: '{"a":1}' }],
            },
            { role: Role.TOOL, toolCallId: "c1", content: [{ part: { case: "text", value: "a cat" } }] },
            { role: Role.DEVELOPER },
          ],
          tools: [
            {
              name: "look",
              description: "Looks.",
              parameters: { type: "object", properties: { a: { type: "number" } }, required: ["a"] },
            },
            { name: "bare" },
          ],
          toolChoice: { choice: { case: "function", value: "look" } },
          templateOptions: { enable_thinking: false },
          continueFinalMessage: true,
        },
      },
    });
  });

  it.each([
    ["auto", ToolChoice_Mode.AUTO],
    ["none", ToolChoice_Mode.NONE],
    ["required", ToolChoice_Mode.REQUIRED],
  ] as const)("has the tool choice %s", (toolChoice, mode) => {
    const { input } = sent({ messages: [{ role: "user", content: "hi" }], toolChoice });
    assert(input.case === "chat");
    assert.deepEqual(input.value.toolChoice?.choice, { case: "mode", value: mode });
  });

  it("can have a tool whose schema is JSON text, which is sent as it stands", () => {
    const parameters = '{"type":"object","properties":{"2":{"maximum":9007199254740993},"1":{}}}';
    const { input } = sent({ messages: [], tools: [{ name: "f", parameters }] });
    assert(input.case === "chat");
    assert.deepInclude(input.value.tools[0], { name: "f", parametersJson: parameters });
    assert.isUndefined(input.value.tools[0]?.parameters);
    assert.throws(() => sent({ messages: [], tools: [{ name: "f", parameters: " " }] }), /tools\[0\]\.parameters/);
  });

  it("can be a task of the API, beside which parameters go before its own", () => {
    const task = create(GenerationTaskSchema, {
      model: "own",
      input: { case: "prompt", value: "Once" },
      sampling: { temperature: 1, topP: 0.5 },
    });
    const before = toBinary(GenerationTaskSchema, task);
    const result = sent({ task }, { temperature: 0, maxOutputTokens: 3 }, "default");
    assertTask(result, {
      model: "own",
      input: { case: "prompt", value: "Once" },
      sampling: { temperature: 0, topP: 0.5 },
      stop: { maxOutputTokens: 3 },
    });
    assert.deepEqual(toBinary(GenerationTaskSchema, task), before, "the caller's task is left as it was");
  });

  it("refuses text with half of a surrogate pair", () => {
    const cut = "🍏".slice(0, 1);
    for (const input of [cut, { prompt: cut }, { messages: [{ role: "user", content: cut }] }] as GenerationInput[]) {
      assert.throws(() => createTask(input), /half of a surrogate pair/);
    }
    assert.doesNotThrow(() => createTask("🍏"));
  });

  it("must be one of these, for callers without types too", () => {
    const inputs = [
      {},
      { message: "hi" },
      { prompt: "a", stop: "b" },
      { messages: [{ role: "owner", content: "hi" }] },
      { messages: [{ role: "unspecified", content: "hi" }] },
      { messages: [{ role: "user", content: "hi" }], toolChoice: "always" },
    ];
    for (const input of inputs) {
      try {
        createTask(input as never);
        assert.fail(`${JSON.stringify(input)} was taken`);
      } catch (error) {
        assert(isMlxdError(error, "INVALID_FIELD"), String(error));
      }
    }
  });

  it("of two kinds at once is a type error", () => {
    const check: (input: GenerationInput) => void = () => {};
    // @ts-expect-error a prompt has no tools
    check({ prompt: "a", tools: [] });
    // @ts-expect-error tokens or a prompt
    check({ prompt: "a", tokens: [1] });
    // @ts-expect-error there is no such key
    check({ messages: [], temperature: 1 });
    // @ts-expect-error there is no such role
    check({ messages: [{ role: "owner", content: "a" }] });
  });
});

describe("parameters", () => {
  it("arrive, each in its place", () => {
    const { input: _, ...task } = sent("hi", all);
    const { input: __, ...expected } = create(GenerationTaskSchema, {
      model: "demo",
      alternatives: ["other"],
      contextPolicy: ContextPolicy.SUMMARISE,
      modelRevision: "r1",
      adapter: "lora",
      sampling: {
        temperature: 0,
        topP: 0.9,
        topK: 40,
        minP: 0.05,
        repetitionPenalty: 1.1,
        presencePenalty: -1,
        frequencyPenalty: 0.5,
        seed: 4_294_967_295,
        logitBias: [{ tokenId: 3, bias: -100 }],
        candidateCount: 2,
      },
      stop: {
        maxOutputTokens: 16,
        minOutputTokens: 0,
        stopSequences: ["\n\n"],
        replaceModelStops: true,
        stopTokenIds: [2],
        ignoreEos: false,
        includeStopInOutput: true,
        timeBudget: { seconds: 1n, nanos: 500_000_000 },
      },
      output: {
        tokenIds: true,
        topLogprobs: 0,
        promptLogprobs: true,
        echoPrompt: true,
        flushTokens: 4,
        flushInterval: { nanos: 500_000 },
        timings: true,
        verbatim: true,
      },
      reasoning: { maxTokens: 64, effort: ReasoningOptions_Effort.LOW },
      constraint: { kind: { case: "regex", value: "[0-9]+" } },
      scheduling: { priority: -3, fairnessId: "team", maxQueueWait: { nanos: 250_000_000 } },
      cache: { mode: CachePolicy_Mode.READ_ONLY, partition: "tenant", stablePrefixTokens: 12 },
      labels: { job: "nightly" },
    });
    assert.deepEqual(task, expected);
  });

  it("reach every field of the API", () => {
    const task = sent(
      { messages: [], tools: [], toolChoice: "auto", templateOptions: {}, continueFinalMessage: true },
      all,
    );
    const parts: [DescMessage, object | undefined][] = [
      [GenerationTaskSchema, task],
      [SamplingParamsSchema, task.sampling],
      [StopCriteriaSchema, task.stop],
      [OutputOptionsSchema, task.output],
      [OutputConstraintSchema, task.constraint],
      [SchedulingHintsSchema, task.scheduling],
      [CachePolicySchema, task.cache],
      [ChatInputSchema, task.input.case === "chat" ? task.input.value : undefined],
      [ChatMessageSchema, createTaskMessage()],
    ];
    for (const [schema, message] of parts) {
      for (const member of schema.members) {
        assert.isDefined(message?.[member.localName as never], `${schema.name}.${member.name} cannot be set`);
      }
    }
  });

  it("that are not given, or undefined, are not sent", () => {
    const bare = sent("hi");
    const undefineds = Object.fromEntries(Object.keys(all).map((name) => [name, undefined]));
    assert.isTrue(equals(GenerationTaskSchema, bare, sent("hi", undefineds)));
    assert.isUndefined(bare.sampling);
    assert.isUndefined(bare.stop);
  });

  it.each<[Constraint, MessageInitShape<typeof OutputConstraintSchema>["kind"] & object]>([
    [{ jsonObject: true }, { case: "jsonObject", value: {} }],
    [{ jsonSchema: { type: "object" } }, { case: "jsonSchema", value: '{"type":"object"}' }],
    [{ jsonSchema: '{"type":"array"}' }, { case: "jsonSchema", value: '{"type":"array"}' }],
    [{ grammar: 'root ::= "a"' }, { case: "grammar", value: 'root ::= "a"' }],
    [{ choices: ["yes", "no"] }, { case: "choice", value: { choices: ["yes", "no"] } }],
  ])("hold the output to %j", (constraint, kind) => {
    assert.deepEqual(sent("hi", { constraint }).constraint, create(OutputConstraintSchema, { kind }));
  });

  it("name the client's default model only where there is no other", () => {
    assert.equal(sent("hi", {}, "mine").model, "mine");
    assert.equal(sent("hi", { model: "other" }, "mine").model, "other");
    assert.equal(sent("hi").model, "");
  });

  it.each([
    [{ max_tokens: 3 }, "max_tokens"],
    [{ toString: 3 }, "toString"],
    [{ temperature: Number.NaN }, "temperature"],
    [{ timeBudgetMs: Number.POSITIVE_INFINITY }, "timeBudgetMs"],
    [{ cache: { mode: "never" } }, "cache.mode"],
    [{ constraint: { xml: true } }, "constraint"],
  ])("that are none are refused: %j", (parameters, field) => {
    try {
      createTask("hi", parameters as never);
      assert.fail("it was taken");
    } catch (error) {
      assert(isMlxdError(error, "INVALID_FIELD"), String(error));
      assert.equal(error.violations[0]?.field, field);
    }
  });

  it("that are none are a type error", () => {
    const check: (parameters: GenerationParameters) => void = () => {};
    // @ts-expect-error there is no such parameter
    check({ max_tokens: 3 });
    // @ts-expect-error one form at a time
    check({ constraint: { regx: "a" } });
  });
});

/** A message in which everything is set that the client can set. */
const createTaskMessage = (): object | undefined => {
  const { input } = createTask({
    messages: [{ role: "user", content: "a", name: "a", reasoning: "a", toolCallId: "a", toolCalls: [] }],
  });
  return input.case === "chat" ? input.value.messages[0] : undefined;
};
