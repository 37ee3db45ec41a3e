/** The model under Effect's own functions, with a scripted service; docs/client.md has the same with the real one. */
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Layer, Schema, Stream } from "effect";
import { LanguageModel, Prompt, Tool, Toolkit } from "effect/ai";
import { languageModel, layerLanguageModel } from "../../../../src/client/effect/ai/index.ts";
import { Mlxd } from "../../../../src/client/effect/index.ts";
import { createTestClient, type ScriptedAnswer } from "../../../../src/client/testing/index.ts";

const scripted = (...answers: ScriptedAnswer[]) => {
  const { client, asked } = createTestClient({ answers });
  const layer = layerLanguageModel({ model: "m", temperature: 0 }).pipe(Layer.provide(Mlxd.layerClient(client)));
  return { layer, asked };
};

const Weather = Tool.make("weather", {
  description: "The weather of a city.",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ celsius: Schema.Finite }),
});
const toolkit = Toolkit.make(Weather);
const handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed({ celsius: city.length }) });

describe("the language model for effect/ai", () => {
  it.effect("generates, and tells reasoning, reason and usage", () => {
    const { layer, asked } = scripted({ text: "4", reasoning: "2+2" });
    return Effect.gen(function* () {
      const prompt = Prompt.make([
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "text", text: "2+2?" }] },
      ]);
      const response = yield* LanguageModel.generateText({ prompt });
      assert.deepStrictEqual([response.text, response.reasoningText, response.finishReason], ["4", "2+2", "stop"]);
      assert.deepStrictEqual([response.usage.inputTokens.total, response.usage.outputTokens.total], [1, 2]);
      const [request] = asked;
      assert.deepStrictEqual([request?.model, request?.task.sampling?.temperature], ["m", 0]);
      assert.deepStrictEqual(
        request?.messages.map(({ role, text }) => `${role}: ${text}`),
        ["system: Be brief.", "user: 2+2?"],
      );
    }).pipe(Effect.provide(layer));
  });

  it.effect("streams text and reasoning apart", () => {
    const { layer } = scripted({ text: ["a", "b"], reasoning: "hm", finishReason: "max_output_tokens" });
    return Effect.gen(function* () {
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "?" }));
      const shown = [...parts].map((part) => ("delta" in part ? `${part.type} ${part.delta}` : part.type));
      assert.deepStrictEqual(shown, [
        "response-metadata",
        "reasoning-start",
        "reasoning-delta hm",
        "reasoning-end",
        "text-start",
        "text-delta a",
        "text-delta b",
        "text-end",
        "finish",
      ]);
      assert.deepInclude([...parts].at(-1), { reason: "length" });
    }).pipe(Effect.provide(layer));
  });

  it.effect("makes objects that their schema is enforced on", () => {
    const { layer, asked } = scripted('{"name": "Mina", "age": 30}');
    return Effect.gen(function* () {
      const schema = Schema.Struct({ name: Schema.String, age: Schema.Int });
      const { value } = yield* LanguageModel.generateObject({ prompt: "?", schema });
      assert.deepStrictEqual(value, { name: "Mina", age: 30 });
      const kind = asked[0]?.task.constraint?.kind;
      assert.deepNestedInclude(JSON.parse(kind?.case === "jsonSchema" ? kind.value : ""), {
        "properties.age.type": "integer",
      });
    }).pipe(Effect.provide(layer));
  });

  it.effect("calls tools, and tells what came of them", () => {
    const call: ScriptedAnswer = { toolCalls: [{ name: "weather", arguments: { city: "Seoul" } }] };
    const { layer, asked } = scripted(call, call, "5 degrees.");
    return Effect.gen(function* () {
      const first = yield* LanguageModel.generateText({ prompt: "Weather?", toolkit });
      assert.strictEqual(first.finishReason, "tool-calls");
      assert.deepStrictEqual(
        first.toolResults.map(({ result }) => result),
        [{ celsius: 5 }],
      );
      const streamed = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Weather?", toolkit }));
      const types = [...streamed].map(({ type }) => type);
      assert.includeMembers(types, ["tool-params-start", "tool-params-delta", "tool-params-end", "tool-call"]);
      assert.include(types, "tool-result");
      const prompt = Prompt.make("Weather?").pipe(Prompt.concat(Prompt.fromResponseParts(first.content)));
      const told = yield* LanguageModel.generateText({ prompt, toolkit });
      assert.strictEqual(told.text, "5 degrees.");
      assert.deepStrictEqual(
        asked[2]?.messages.map(({ role, text }) => `${role}: ${text}`),
        ["user: Weather?", "assistant: ", 'tool: {"celsius":5}'],
      );
      assert.deepStrictEqual(
        asked[0]?.messages.map(({ role }) => role),
        ["user"],
      );
    }).pipe(Effect.provide(layer), Effect.provide(handlers));
  });

  it.effect("fails with the reason that effect/ai has for it", () => {
    const { layer } = scripted(
      { error: { reason: "QUEUE_FULL", code: "RESOURCE_EXHAUSTED", retryAfterMs: 60_000 } },
      { error: { reason: "MODEL_NOT_FOUND", code: "NOT_FOUND" } },
      { error: { reason: "ENGINE_LOST", code: "ABORTED" } },
    );
    return Effect.gen(function* () {
      const full = yield* Effect.flip(LanguageModel.generateText({ prompt: "?" }));
      assert.strictEqual(full.reason._tag, "RateLimitError");
      if (full.reason._tag === "RateLimitError") {
        assert.deepStrictEqual(full.reason.retryAfter, Duration.millis(60_000));
      }
      const missing = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "?" })));
      assert.strictEqual(missing.reason._tag, "InvalidRequestError");
      const lost = yield* Effect.flip(LanguageModel.generateText({ prompt: "?" }));
      assert.strictEqual(lost.reason._tag, "InternalProviderError");
      assert.include(lost.message, "ENGINE_LOST");
    }).pipe(Effect.provide(layer));
  });

  it.effect("refuses what no model can be told", () => {
    const { layer, asked } = scripted("?");
    return Effect.gen(function* () {
      const prompt = Prompt.make([
        { role: "user", content: [{ type: "file", mediaType: "application/pdf", data: "AAAA" }] },
      ]);
      const refused = yield* Effect.flip(LanguageModel.generateText({ prompt }));
      assert.strictEqual(refused.reason._tag, "InvalidRequestError");
      assert.include(refused.message, "application/pdf");
      assert.lengthOf(asked, 0);
    }).pipe(Effect.provide(layer));
  });

  it.effect("is a model with a provider and a name", () => {
    const { client, asked } = createTestClient({ answers: ["4"] });
    return Effect.gen(function* () {
      const { text } = yield* LanguageModel.generateText({ prompt: "?" }).pipe(Effect.provide(languageModel("other")));
      assert.deepStrictEqual([text, asked[0]?.model], ["4", "other"]);
    }).pipe(Effect.provide(Mlxd.layerClient(client)));
  });
});
