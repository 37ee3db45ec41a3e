/**
 * Whatever a plain JavaScript caller gives comes back as an error with a sentence that names the option as the caller
 * wrote it: `seed: Date.now()` was "invalid uint32: 4294967296", an undefined input a TypeError from inside, and of two
 * constraints the second one was dropped in silence.
 */
import { assert, describe, it } from "vitest";
import {
  assistantMessage,
  createMlxdClientFromTransport,
  decodeError,
  findMlxdError,
  isMlxdError,
  type MlxdError,
  toolMessage,
} from "../../src/client/index.ts";
import { createMlxdClient as createNodeClient } from "../../src/client/node.ts";
import { createMlxdClient as createWebClient } from "../../src/client/web.ts";
import { createInMemoryClient } from "../support/in-memory-client.ts";

const client = createInMemoryClient({});

/** The error of a call that throws, rejects or streams one. */
const refusalOf = async (call: () => unknown): Promise<MlxdError> => {
  const error = await (async () => {
    const result = await call();
    if (typeof result === "object" && result !== null && "collect" in result) {
      await (result as { collect: () => Promise<unknown> }).collect();
    }
    return new Error("it was taken");
  })().catch((reason: unknown) => reason);
  assert(isMlxdError(error, "INVALID_FIELD"), String(error));
  assert.equal(error.code, "INVALID_ARGUMENT");
  assert.match(error.message, /^[\w[\].-]+: .+/);
  return error;
};

const fieldOf = async (call: () => unknown): Promise<string | undefined> =>
  (await refusalOf(call)).violations[0]?.field;

const cyclic: Record<string, unknown> = {};
cyclic["self"] = cyclic;
const deep = (levels: number) => {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = { a: value };
  return value;
};

describe("an input", () => {
  it.each<[unknown, string, RegExp]>([
    [undefined, "input", /undefined/],
    [null, "input", /null/],
    [7, "input", /7 is no/],
    [7n, "input", /7n/],
    [() => "x", "input", /a function/],
    [[{ role: "user", content: "a" }], "input", /for messages use \{ messages \}/],
    [{}, "input", /give a text, messages, a prompt, tokens or a task/],
    [{ prompt: undefined }, "input", /give a text/],
    [{ prompt: 5 }, "prompt", /5 is not a string/],
    [{ prompt: "\ud800" }, "prompt", /surrogate/],
    ["\ud800", "input", /surrogate/],
    [{ prompt: "a", messages: [] }, "input", /messages and prompt are set/],
    [{ prompt: "a", tools: [] }, "tools", /can only be used with messages/],
    [{ promt: "a" }, "promt", /there is no such input/],
    [{ tokens: [1, 2.5] }, "tokens[1]", /2\.5 is not a whole number from 0 to 4294967295/],
    [{ tokens: "12" }, "tokens", /is not an array/],
    [{ tokens: new Float32Array([1, -1]) }, "tokens[1]", /-1/],
    [{ tokens: [1n] }, "tokens[0]", /1n/],
    [{ task: 4 }, "task", /4 is not an object/],
    [{ task: { sampling: { seed: -1 } } }, "task", /seed/],
    [{ messages: "hi" }, "messages", /"hi" is not an array/],
    [{ messages: null }, "messages", /null/],
    [{ messages: [null] }, "messages[0]", /null is not an object/],
    [{ messages: ["hi"] }, "messages[0]", /"hi" is not an object/],
    [{ messages: [{ content: "a" }] }, "messages[0].role", /undefined is not one of system, user, assistant/],
    [{ messages: [{ role: "wizard" }] }, "messages[0].role", /"wizard" is not one of/],
    [{ messages: [{ role: "toString" }] }, "messages[0].role", /"toString" is not one of/],
    [{ messages: [{ role: "user", content: 5 }] }, "messages[0].content", /5 is not an array/],
    [{ messages: [{ role: "user", content: [{}] }] }, "messages[0].content[0]", /neither text nor image/],
    [{ messages: [{ role: "user", content: [{ type: "audio" }] }] }, "messages[0].content[0].type", /text, image/],
    [{ messages: [{ role: "user", content: [{ text: 1 }] }] }, "messages[0].content[0].text", /1 is not a string/],
    [{ messages: [{ role: "user", content: [{ type: "text" }] }] }, "messages[0].content[0].text", /undefined/],
    [{ messages: [{ role: "user", content: [{ image: 1 }] }] }, "messages[0].content[0].image", /bytes nor a URL/],
    [{ messages: [{ role: "user", text: "a" }] }, "messages[0].text", /no such member of a message/],
    [{ messages: [{ role: "assistant", tool_calls: [] }] }, "messages[0].tool_calls", /toolCalls/],
    [
      { messages: [{ role: "assistant", toolCalls: [{ id: "1", name: "f", arguments: {} }] }] },
      "messages[0].toolCalls[0].arguments",
      /an object is not a string/,
    ],
    [{ messages: [], tools: {} }, "tools", /an object is not an array/],
    [{ messages: [], tools: [{ type: "function" }] }, "tools[0].type", /name, description, parameters/],
    [{ messages: [], tools: [{}] }, "tools[0].name", /undefined is not a string/],
    [{ messages: [], tools: [{ name: "f", parameters: cyclic }] }, "tools[0].parameters", /circle/],
    [
      { messages: [], tools: [{ name: "f", parameters: { a: 1n } }] },
      "tools[0].parameters.a",
      /1n cannot be written as JSON/,
    ],
    [{ messages: [], tools: [{ name: "f", parameters: { a: Number.NaN } }] }, "tools[0].parameters.a", /NaN/],
    [{ messages: [], tools: [{ name: "f", parameters: deep(100_000) }] }, "tools[0].parameters", /nested deeper/],
    [{ messages: [], toolChoice: "maybe" }, "toolChoice", /auto, none, required/],
    [{ messages: [], toolChoice: { function: 3 } }, "toolChoice.function", /3 is not a string/],
    [{ messages: [], templateOptions: [] }, "templateOptions", /an array is not an object/],
    [{ messages: [], templateOptions: { f: () => 1 } }, "templateOptions.f", /a function/],
    [{ messages: [], continueFinalMessage: 1 }, "continueFinalMessage", /neither true nor false/],
  ])("%# is refused where it stands", async (input, field, sentence) => {
    for (const call of [
      () => client.generate(input as never),
      () => client.stream(input as never),
      () => client.countTokens(input as never),
    ]) {
      const error = await refusalOf(call);
      // A nested value is told by the place of what holds it, at least.
      assert.isTrue(error.violations[0]?.field.startsWith(field), error.message);
      assert.match(error.message, sentence);
    }
    const item = await fieldOf(() => client.batch([{ input: "a" }, { input: input as never }]));
    assert.isTrue(item?.startsWith(field === "input" ? "items[1].input" : `items[1].input.${field}`), item);
  });
});

const wrongParameters: readonly (readonly [object, string, RegExp?])[] = [
  [{ seed: 4_294_967_296 }, "seed", /4294967296 is not a whole number from 0 to 4294967295/],
  [{ seed: 1_764_000_000_000 }, "seed", /from 0 to 4294967295/],
  [{ seed: -1 }, "seed"],
  [{ seed: 1.5 }, "seed"],
  [{ seed: 7n }, "seed", /7n/],
  [{ seed: "7" }, "seed", /"7"/],
  [{ seed: null }, "seed"],
  [{ temperature: Number.NaN }, "temperature", /NaN is not a finite number/],
  [{ temperature: Number.POSITIVE_INFINITY }, "temperature"],
  [{ temperature: "hot" }, "temperature"],
  [{ topK: 2.5 }, "topK"],
  [{ logitBias: { 3: 1 } }, "logitBias"],
  [{ logitBias: [{ tokenId: 1, bias: "a" }] }, "logitBias[0].bias"],
  [{ logitBias: [{ token: 1, bias: 1 }] }, "logitBias[0].token"],
  [{ maxOutputTokens: -1 }, "maxOutputTokens"],
  [{ maxOutputTokens: 2 ** 40 }, "maxOutputTokens"],
  [{ stopSequences: "stop" }, "stopSequences"],
  [{ stopSequences: [1] }, "stopSequences[0]"],
  [{ stopSequences: ["\udc00"] }, "stopSequences[0]"],
  [{ stopTokenIds: [-1] }, "stopTokenIds[0]"],
  [{ ignoreEos: "yes" }, "ignoreEos", /neither true nor false/],
  [{ timeBudgetMs: -5 }, "timeBudgetMs"],
  [{ timeBudgetMs: Number.NaN }, "timeBudgetMs"],
  [{ timeBudgetMs: Number.POSITIVE_INFINITY }, "timeBudgetMs"],
  [{ timeBudgetMs: 1e300 }, "timeBudgetMs"],
  [{ timeBudgetMs: 5n }, "timeBudgetMs"],
  [{ reasoning: "low" }, "reasoning"],
  [{ reasoning: { effort: "most" } }, "reasoning.effort", /low, medium, high/],
  [{ reasoning: { tokens: 3 } }, "reasoning.tokens"],
  [{ topLogprobs: true }, "topLogprobs"],
  [{ constraint: {} }, "constraint", /jsonObject, jsonSchema, regex, grammar, choices/],
  [{ constraint: "json" }, "constraint"],
  [{ constraint: { regex: "a", jsonObject: true } }, "constraint", /jsonObject and regex are set/],
  [{ constraint: { jsonObject: false } }, "constraint.jsonObject"],
  [{ constraint: { jsonSchema: cyclic } }, "constraint.jsonSchema"],
  [{ constraint: { jsonSchema: 5 } }, "constraint.jsonSchema"],
  [{ constraint: { jsonSchema: { minimum: 5n } } }, "constraint.jsonSchema.minimum"],
  [{ constraint: { regex: /a+/ } }, "constraint.regex", /an object is not a string/],
  [{ constraint: { choices: "ab" } }, "constraint.choices"],
  [{ constraint: { xml: true } }, "constraint", /no "xml"; there are jsonObject/],
  [{ priority: 0.5 }, "priority"],
  [{ fairnessId: 9 }, "fairnessId"],
  [{ cache: { mode: "never" } }, "cache.mode", /read_write, read_only, bypass/],
  [{ cache: { partition: 3 } }, "cache.partition"],
  [{ cache: "off" }, "cache"],
  [{ labels: { a: 1 } }, "labels.a"],
  [{ labels: ["a"] }, "labels"],
  [{ model: 3 }, "model"],
  [{ model: null }, "model"],
  [{ max_tokens: 3 }, "max_tokens"],
];

describe("a parameter", () => {
  it.each(
    wrongParameters.map(
      ([parameters, ...rest]) =>
        [
          JSON.stringify(parameters, (_, value: unknown) =>
            typeof value === "bigint" || value === cyclic ? "..." : value,
          ),
          parameters,
          ...rest,
        ] as const,
    ),
  )("%s is refused by its name", async (_, parameters, field, sentence = /./) => {
    const error = await refusalOf(() => client.generate("a", parameters));
    assert.equal(error.violations[0]?.field.startsWith(field), true, error.message);
    assert.match(error.message, sentence);
    assert.isTrue((await fieldOf(() => client.stream("a", parameters)))?.startsWith(field));
    assert.isTrue(
      (await fieldOf(() => client.batch([{ input: "a", ...parameters }])))?.startsWith(`items[0].${field}`),
    );
  });
});

/** Each way in with an argument of a wrong type, and what is named. */
const calls: readonly (readonly [name: string, field: string, call: () => unknown])[] = [
  ["batch", "items", () => client.batch("a" as never)],
  ["batch", "items", () => client.batch(undefined as never)],
  ["batch", "items[0]", () => client.batch([null as never])],
  ["batch", "items[0].itemId", () => client.batch([{ itemId: 4 as never, input: "a" }])],
  ["batch", "parallel", () => client.batch([], { parallel: 1 as never })],
  ["cancel", "generationId", () => client.cancel(undefined as never)],
  ["embed", "input", () => client.embed(undefined as never)],
  ["embed", "inputs[1]", () => client.embed(["a", 5 as never])],
  ["embed", "input.text", () => client.embed({ text: "a" } as never)],
  ["embed", "input.tokens", () => client.embed({ tokens: [0.5] })],
  ["embed", "pooling", () => client.embed("a", { pooling: "max" as never })],
  ["embed", "dimensions", () => client.embed("a", { dimensions: -1 })],
  ["embed", "priority", () => client.embed("a", { priority: Number.NaN })],
  ["tokenize", "texts", () => client.tokenize(undefined as never)],
  ["tokenize", "texts[0]", () => client.tokenize([5 as never])],
  ["tokenize", "pieces", () => client.tokenize("a", { pieces: "yes" as never })],
  ["tokenize", "text", () => client.tokenize("\ud83c")],
  ["detokenize", "tokenIds", () => client.detokenize(undefined as never)],
  ["detokenize", "tokenIds[0]", () => client.detokenize([-1])],
  ["listModels", "states", () => client.listModels({ states: "active" as never })],
  ["listModels", "states[0]", () => client.listModels({ states: ["bright" as never] })],
  ["getModel", "model", () => client.getModel(5 as never)],
  ["getModel", "model", () => client.getModel(null as never)],
  ["loadModel", "idleTtlMs", () => client.loadModel("a", { idleTtlMs: -1 })],
  ["loadModel", "pinned", () => client.loadModel("a", { pinned: 1 as never })],
  ["checkModelFit", "model", () => client.checkModelFit({} as never)],
  ["unloadModel", "model", () => client.unloadModel(undefined as never)],
  ["unloadModel", "drainTimeoutMs", () => client.unloadModel("a", { drainTimeoutMs: Number.NaN })],
  ["unloadAllModels", "force", () => client.unloadAllModels({ force: 0 as never })],
  ["pinModel", "pinned", () => client.pinModel("a", "yes" as never)],
  ["preloadModels", "models", () => client.preloadModels("demo" as never)],
  ["preloadModels", "models[1]", () => client.preloadModels(["a", 5 as never])],
  ["prepareModel", "revision", () => client.prepareModel("a", { revision: 3 as never })],
  ["assistantMessage", "said", () => assistantMessage(undefined as never)],
  ["assistantMessage", "said.text", () => assistantMessage({} as never)],
  ["toolMessage", "call", () => toolMessage(undefined as never, 1)],
  ["toolMessage", "call.id", () => toolMessage({ name: "f" } as never, 1)],
  ["toolMessage", "result", () => toolMessage({ id: "1", name: "f", arguments: "" }, undefined as never)],
  ["toolMessage", "result", () => toolMessage({ id: "1", name: "f", arguments: "" }, 1n as never)],
  ["createMlxdClientFromTransport", "transport", () => createMlxdClientFromTransport(undefined as never)],
  ["createMlxdClientFromTransport", "transport.unary", () => createMlxdClientFromTransport({} as never)],
];

describe("an argument", () => {
  it.each(calls)("of %s is refused as %s", async (_, field, call) => {
    assert.isTrue((await fieldOf(call))?.startsWith(field), String(await fieldOf(call)));
  });

  it("of any type makes an error of the functions that read errors, or nothing", () => {
    for (const value of [undefined, null, 1, 1n, "a", Symbol("a"), [], {}, () => {}, new Proxy({}, {})]) {
      assert.isTrue(isMlxdError(decodeError(value)));
      assert.isUndefined(findMlxdError(value));
      assert.isFalse(isMlxdError(value));
    }
  });
});

describe("a call's options", () => {
  const everyMethod: readonly ((options: never) => unknown)[] = [
    (options) => client.generate("a", options),
    (options) => client.stream("a", options),
    (options) => client.batch([{ input: "a" }], options),
    (options) => client.cancel("a", options),
    (options) => client.embed("a", options),
    (options) => client.tokenize("a", options),
    (options) => client.detokenize([], options),
    (options) => client.countTokens("a", options),
    (options) => client.listModels(options),
    (options) => client.listLoadedModels(options),
    (options) => client.listCompatibilityProfiles(options),
    (options) => client.preloadModels(["a"], options),
    (options) => client.getModel("a", options),
    (options) => client.prepareModel("a", options),
    (options) => client.loadModel("a", options),
    (options) => client.checkModelFit("a", options),
    (options) => client.unloadModel("a", options),
    (options) => client.unloadAllModels(options),
    (options) => client.pinModel("a", true, options),
    (options) => client.reloadCatalog(options),
    (options) => client.serverInfo(options),
    (options) => client.stats(options),
  ];
  it.each<[string, unknown, string]>([
    ["null", null, "options"],
    ["a text", "fast", "options"],
    ["an array", [], "options"],
    ["a signal that is none", { signal: {} }, "signal"],
    ["the controller for its signal", { signal: new AbortController() }, "signal"],
    ["a time-out of NaN", { timeoutMs: Number.NaN }, "timeoutMs"],
    ["a negative time-out", { timeoutMs: -1 }, "timeoutMs"],
    ["a time-out that is a text", { timeoutMs: "100" }, "timeoutMs"],
    ["a time-out that is a bigint", { timeoutMs: 100n }, "timeoutMs"],
    ["a time-out that gRPC cannot send", { timeoutMs: 100_000_000 }, "timeoutMs"],
    ["headers that are a text", { headers: "a: b" }, "headers"],
    ["a header without a value", { headers: { authorization: undefined } }, "headers.authorization"],
    ["a header that breaks lines", { headers: { authorization: "s3cret\r\nx: y" } }, "headers.authorization"],
    ["a header beyond Latin", { headers: { "x-name": "한국" } }, "headers.x-name"],
    ["a header of HTTP's own", { headers: { Connection: "close" } }, "headers.Connection"],
  ])("%s is refused by every method", async (_, options, field) => {
    for (const call of everyMethod) {
      const error = await refusalOf(() => call(options as never));
      assert.equal(error.violations[0]?.field, field, error.message);
      assert.notInclude(error.message, "s3cret");
    }
  });

  it("refuses a Unix socket where only fetch is there", async () => {
    const error = await refusalOf(() => createWebClient({ baseUrl: "unix:/tmp/socket" }));
    assert.equal(error.violations[0]?.field, "baseUrl");
    assert.doesNotThrow(() => createNodeClient({ baseUrl: "unix:/tmp/socket" }).close());
  });

  it("take headers of other kinds", async () => {
    for (const headers of [new Headers({ a: "b" }), new Map([["a", "b"]]), [["a", "b"]], { a: "b" }]) {
      const seen: (string | null)[] = [];
      const own = createInMemoryClient({
        generate: (_, { requestHeader }) => {
          seen.push(requestHeader.get("a"));
          return { result: { candidates: [{ text: "a" }] } };
        },
      });
      await own.generate("a", { headers: headers as never });
      assert.deepEqual(seen, ["b"]);
    }
  });
});

describe("a client", () => {
  const baseUrls: readonly unknown[] = [
    "127.0.0.1:50051",
    "localhost",
    "//localhost",
    "",
    " ",
    "http://",
    "http:///path",
    "http://a b",
    "http://127.0.0.1:99999",
    "http://[::1",
    "ftp://localhost",
    "unix:",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://user:s3cret@localhost",
    "http://localhost?a=b",
    "http://localhost#a",
    5,
    null,
    {},
    ["http://localhost"],
    new URL("ftp://localhost"),
  ];
  it.each(baseUrls.map((baseUrl) => [String(baseUrl), baseUrl]))("refuses the address %j", async (_, baseUrl) => {
    for (const create of [createNodeClient, createWebClient]) {
      const error = await refusalOf(() => create({ baseUrl: baseUrl as never }));
      assert.equal(error.violations[0]?.field, "baseUrl");
      assert.notInclude(error.message, "s3cret");
    }
  });

  it.each<[object, string]>([
    [{ timeoutMs: "5" }, "timeoutMs"],
    [{ timeoutMs: 5n }, "timeoutMs"],
    [{ defaultModel: 5 }, "defaultModel"],
    [{ headers: 5 }, "headers"],
    [{ retry: 3 }, "retry"],
    [{ retry: null }, "retry"],
    [{ retry: { maxAttempts: "3" } }, "retry.maxAttempts"],
    [{ retry: { maxBackoffMs: -1 } }, "retry.maxBackoffMs"],
    [{ clock: {} }, "clock.now"],
    [{ colour: 1 }, "colour"],
  ])("refuses option %#", async (options, field) => {
    for (const create of [createNodeClient, createWebClient]) {
      assert.equal(await fieldOf(() => create(options as never)), field);
      assert.equal(await fieldOf(() => create(null as never)), "options");
    }
  });

  it.each<[object, string]>([
    [{ protocol: "http" }, "protocol"],
    [{ protocol: 2 }, "protocol"],
    [{ tls: "yes" }, "tls"],
    [{ tls: { cert: "no certificate" } }, "tls"],
    [{ tls: { rejectUnauthorized: false } }, "tls.rejectUnauthorized"],
    [{ pingIntervalMs: -1 }, "pingIntervalMs"],
    [{ pingIntervalMs: 2 ** 31 }, "pingIntervalMs"],
    [{ idleConnectionTimeoutMs: Number.NaN }, "idleConnectionTimeoutMs"],
    [{ readMaxBytes: 0 }, "readMaxBytes"],
    [{ readMaxBytes: "1 MB" }, "readMaxBytes"],
  ])("of Node refuses option %#", async (options, field) => {
    assert.equal(await fieldOf(() => createNodeClient(options)), field);
  });

  it.each<[object, string]>([
    [{ format: "xml" }, "format"],
    [{ fetch: "fetch" }, "fetch"],
  ])("of the web refuses option %#", async (options, field) => {
    assert.equal(await fieldOf(() => createWebClient(options)), field);
  });
});
