/** The provider under the AI SDK's own functions, with a scripted model; the snippets of docs/client.md use the real service. */
import {
  embed,
  embedMany,
  generateObject,
  generateText,
  isStepCount,
  type LanguageModel,
  NoObjectGeneratedError,
  Output,
  streamObject,
  streamText,
  tool,
} from "ai";
import { assert, describe, it } from "vitest";
import * as z from "zod";
import { createMlxd } from "../../../src/client/ai-sdk/index.ts";
import {
  type AskedTask,
  createTestClient,
  isMlxdError,
  type ScriptedAnswer,
} from "../../../src/client/testing/index.ts";
import { collect } from "../../support/collect.ts";
import { errorOf } from "../../support/error-of.ts";

const scripted = (...answers: ScriptedAnswer[]) => {
  const { client, asked } = createTestClient({ answers });
  return { mlxd: createMlxd({ client }), asked };
};

/** The JSON Schema that the service was to hold the output to. */
const constraintOf = (asked: AskedTask | undefined): object => {
  const kind = asked?.task.constraint?.kind;
  assert.equal(kind?.case, "jsonSchema");
  return JSON.parse(kind?.case === "jsonSchema" ? kind.value : "") as object;
};

const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => ({ city, celsius: 21 }),
});

describe("the provider for the AI SDK", () => {
  it("generates, and tells reasoning, reason and usage", async () => {
    const { mlxd, asked } = scripted({ text: "4", reasoning: "2+2" });
    const result = await generateText({
      model: mlxd("m"),
      instructions: "Be brief.",
      prompt: "2+2?",
      temperature: 0,
      topK: 5,
      seed: 7,
      maxOutputTokens: 9,
      stopSequences: ["\n"],
      presencePenalty: 0.5,
      frequencyPenalty: 0.25,
      headers: { "x-tenant": "t" },
      providerOptions: { mlxd: { minP: 0.1 } },
    });
    assert.deepEqual([result.text, result.finalStep.reasoningText, result.finishReason], ["4", "2+2", "stop"]);
    assert.deepEqual(
      [result.usage.inputTokens, result.usage.outputTokens, result.finalStep.response.modelId],
      [1, 2, "test"],
    );
    const [request] = asked;
    assert.deepEqual([request?.model, request?.headers.get("x-tenant")], ["m", "t"]);
    assert.deepEqual(
      request?.messages.map(({ role, text }) => `${role}: ${text}`),
      ["system: Be brief.", "user: 2+2?"],
    );
    const { sampling, stop } = request?.task ?? {};
    assert.deepInclude(sampling, {
      temperature: 0,
      topK: 5,
      seed: 7,
      presencePenalty: 0.5,
      frequencyPenalty: 0.25,
      minP: 0.1,
    });
    assert.deepInclude(stop, { maxOutputTokens: 9, stopSequences: ["\n"] });
  });

  it("streams text and reasoning apart", async () => {
    const { mlxd } = scripted({ text: ["a", "b"], reasoning: "hm", finishReason: "max_output_tokens" });
    const result = streamText({ model: mlxd(), prompt: "?" });
    const parts: string[] = [];
    for await (const part of result.stream) {
      parts.push(
        part.type === "text-delta" || part.type === "reasoning-delta" ? `${part.type} ${part.text}` : part.type,
      );
    }
    const expected = [
      "reasoning-start",
      "reasoning-delta hm",
      "reasoning-end",
      "text-start",
      "text-delta a",
      "text-delta b",
      "text-end",
    ];
    assert.deepEqual(
      parts.filter((part) => /^(text|reasoning)/.test(part)),
      expected,
    );
    assert.equal(await result.finishReason, "length");
  });

  it.each(["generateText", "streamText"] as const)(
    "runs tools with %s, and tells the model their results",
    async (how) => {
      const { mlxd, asked } = scripted(
        { text: "Let me see.", toolCalls: [{ name: "weather", arguments: { city: "Seoul" } }] },
        "21 degrees.",
      );
      const call = { model: mlxd("m"), prompt: "?", tools: { weather }, stopWhen: isStepCount(3) };
      const text = how === "generateText" ? (await generateText(call)).text : await streamText(call).text;
      assert.equal(text, "21 degrees.");
      assert.deepEqual(asked[0]?.tools, ["weather"]);
      assert.deepEqual(
        asked[1]?.messages
          .slice(1)
          .map(({ role, text: said, toolCalls }) => [
            role,
            said,
            toolCalls.map(({ name, arguments: json }) => [name, json]),
          ]),
        [
          ["assistant", "Let me see.", [["weather", '{"city":"Seoul"}']]],
          ["tool", '{"city":"Seoul","celsius":21}', []],
        ],
      );
    },
  );

  describe("holds an object to its schema", () => {
    const schema = z.object({ name: z.string(), age: z.number().int() });
    const mina = { name: "Mina", age: 30 };
    const call = { prompt: "Who?", schema };
    const answer: ScriptedAnswer = { text: ['{"name":"Mi', 'na","age"', ":30}"] };
    const last = async <T>(values: AsyncIterable<T>): Promise<T | undefined> => (await collect(values)).at(-1);

    it.each<[string, (model: LanguageModel) => PromiseLike<unknown>]>([
      // oxlint-disable-next-line typescript/no-deprecated -- users still call it
      ["generateObject", async (model) => (await generateObject({ ...call, model })).object],
      // oxlint-disable-next-line typescript/no-deprecated -- users still call it
      ["streamObject", (model) => last(streamObject({ ...call, model }).partialObjectStream)],
      [
        "generateText",
        async (model) => (await generateText({ model, prompt: "?", output: Output.object({ schema }) })).output,
      ],
      ["streamText", (model) => streamText({ model, prompt: "?", output: Output.object({ schema }) }).output],
      [
        "streamText, in parts",
        (model) => last(streamText({ model, prompt: "?", output: Output.object({ schema }) }).partialOutputStream),
      ],
    ])("with %s", async (_, ask) => {
      const { mlxd, asked } = scripted(answer);
      assert.deepEqual(await ask(mlxd("m")), mina);
      assert.lengthOf(asked, 1);
      assert.deepNestedInclude(constraintOf(asked[0]), {
        "properties.name.type": "string",
        "properties.age.type": "integer",
      });
    });

    it("also a list, a choice and any JSON", async () => {
      const { mlxd, asked } = scripted('{"elements":[{"name":"Mina","age":30}]}', '{"result":"sunny"}', '{"a":[1]}');
      const ask = { model: mlxd("m"), prompt: "?" };
      const list = await generateText({ ...ask, output: Output.array({ element: schema }) });
      assert.deepEqual(list.output, [mina]);
      const choice = await generateText({ ...ask, output: Output.choice({ options: ["sunny", "rainy"] }) });
      assert.equal(choice.output, "sunny");
      assert.deepEqual((await generateText({ ...ask, output: Output.json() })).output, { a: [1] });
      assert.deepNestedInclude(constraintOf(asked[0]), { "properties.elements.type": "array" });
      assert.deepNestedInclude(constraintOf(asked[1]), { "properties.result.enum": ["sunny", "rainy"] });
      assert.equal(asked[2]?.task.constraint?.kind.case, "jsonObject");
    });

    it("and fails as the package does where the answer was cut short", async () => {
      const { mlxd } = scripted({ text: '{"name":"Mi', finishReason: "max_output_tokens" });
      // oxlint-disable-next-line typescript/no-deprecated -- users still call it
      const error = await errorOf(generateObject({ ...call, model: mlxd("m") }));
      assert.isTrue(NoObjectGeneratedError.isInstance(error), String(error));
      assert.equal(NoObjectGeneratedError.isInstance(error) && error.finishReason, "length");
    });
  });

  it("warns of what it cannot do, and refuses what cannot be left out", async () => {
    const { mlxd } = scripted("x");
    const model = mlxd("m");
    const { warnings } = await model.doGenerate({
      prompt: [{ role: "user", content: [{ type: "text", text: "?" }] }],
      tools: [
        { type: "provider", id: "other.search", name: "search", args: {} },
        { type: "function", name: "f", inputSchema: { type: "object" } },
      ],
      responseFormat: { type: "json" },
      reasoning: "max",
    });
    assert.deepEqual(
      warnings.map((warning) => ("feature" in warning ? warning.feature : warning.type)),
      ["provider-defined tool other.search", "reasoning", "responseFormat"],
    );
    const pdf = { type: "file", mediaType: "application/pdf", data: { type: "data", data: "AA==" } } as const;
    const refused = await Promise.resolve(model.doGenerate({ prompt: [{ role: "user", content: [pdf] }] })).then(
      () => "it did",
      String,
    );
    assert.match(refused, /files of the type application\/pdf/);
    assert.throws(() => mlxd.imageModel("m"), "mlxd has no image models");
  });

  it("fails with the client's errors, before its stream or in it", async () => {
    const { mlxd } = scripted(
      { error: { reason: "MODEL_NOT_FOUND", code: "NOT_FOUND" } },
      { text: "half", error: { reason: "ENGINE_LOST", code: "ABORTED" } },
    );
    const error: unknown = await generateText({ model: mlxd("m"), prompt: "?" }).catch((reason: unknown) => reason);
    assert.isTrue(isMlxdError(error, "MODEL_NOT_FOUND"), String(error));
    const errors: unknown[] = [];
    const { stream } = streamText({
      model: mlxd("m"),
      prompt: "?",
      onError: ({ error: told }) => void errors.push(told),
    });
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    assert.isTrue(isMlxdError(errors[0], "ENGINE_LOST"), String(errors[0]));
    assert.includeMembers(types, ["text-delta", "error"]);
  });

  describe("tells an abort as the package's other providers do", () => {
    const endless = () =>
      createMlxd({ client: createTestClient({ answers: [{ text: ["a", "b"], delayMs: 3_600_000 }] }).client });
    const prompt = [{ role: "user" as const, content: [{ type: "text" as const, text: "?" }] }];

    it.each<[string, (signal: AbortSignal) => PromiseLike<unknown>]>([
      ["generateText", (abortSignal) => generateText({ model: endless()("m"), prompt: "?", abortSignal })],
      ["embed", (abortSignal) => embed({ model: endless().embeddingModel("m"), value: "?", abortSignal })],
      ["doStream", async (abortSignal) => endless()("m").doStream({ prompt, abortSignal })],
    ])("that comes before %s", async (_, ask) => {
      const error = await errorOf(Promise.resolve(ask(AbortSignal.abort())));
      assert.equal(error instanceof DOMException && error.name, "AbortError", String(error));
    });

    it("in the midst of an answer, and of a stream", async () => {
      const controller = new AbortController();
      const answer = generateText({ model: endless()("m"), prompt: "?", abortSignal: controller.signal });
      const { stream } = await endless()("m").doStream({ prompt, abortSignal: controller.signal });
      const reader = stream.getReader();
      assert.equal((await reader.read()).value?.type, "stream-start");
      const error = errorOf(answer);
      controller.abort();
      assert.equal(await error, controller.signal.reason);
      let part = await reader.read();
      while (!part.done && part.value.type !== "error") part = await reader.read();
      assert.equal(part.value?.type === "error" && part.value.error, controller.signal.reason);
    });

    it("to a stream of the package, which ends with `abort` and without an error", async () => {
      const controller = new AbortController();
      const errors: unknown[] = [];
      const types: string[] = [];
      const { stream } = streamText({
        model: scripted({ text: ["a", "b"], delayMs: 1 }).mlxd("m"),
        prompt: "?",
        abortSignal: controller.signal,
        onError: ({ error }) => void errors.push(error),
      });
      for await (const { type } of stream) {
        types.push(type);
        if (type === "text-delta") controller.abort();
      }
      assert.equal(types.at(-1), "abort");
      assert.deepEqual(errors, []);
    });
  });

  it("ends the generation when its stream is left", async () => {
    const { client } = createTestClient({ answers: [{ text: ["a", "b"], delayMs: 3_600_000 }] });
    const { stream } = await createMlxd({ client })("m").doStream({
      prompt: [{ role: "user", content: [{ type: "text", text: "?" }] }],
    });
    const reader = stream.getReader();
    assert.equal((await reader.read()).value?.type, "stream-start");
    await reader.cancel();
  });

  it("makes vectors", async () => {
    const { mlxd } = scripted("");
    const model = mlxd.embeddingModel("m");
    const { embedding, usage } = await embed({ model, value: "x" });
    assert.lengthOf(embedding, 8);
    assert.equal(usage.tokens, 1);
    const values = Array.from({ length: 300 }, (_, index) => `text ${index}`);
    assert.lengthOf((await embedMany({ model, values })).embeddings, 300);
  });
});
