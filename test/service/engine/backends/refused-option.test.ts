import { assert, describe, it } from "vitest";

import type { ConversationOption } from "../../../../src/service/domain/conversation-options.ts";
import { BackendSays, StatusRefused } from "../../../../src/service/engine/backends/problems.ts";
import { refusedOption } from "../../../../src/service/engine/backends/refused-option.ts";

const sent = JSON.stringify({
  model: "m",
  messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }],
  temperature: 0.2,
  top_p: 0.9,
  min_p: 0.1,
  seed: 1,
  stop: ["x"],
  tools: [{}],
  reasoning_effort: "low",
});
const refusedBy = (status: number, body: unknown, request = sent) =>
  refusedOption(new StatusRefused(status, undefined, JSON.stringify(body)), request, new Set())?.option;

describe("an option that a server refuses", () => {
  it.each([
    [
      "sampling.temperature",
      {
        message:
          "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
        param: "temperature",
        code: "unsupported_value",
      },
    ],
    ["stop.stop_sequences", { message: "Not here.", param: "stop", code: "unsupported_parameter" }],
    ["sampling.min_p", { message: "property 'min_p' is unsupported" }],
    ["sampling.seed", { message: "Unrecognized request argument supplied: seed" }],
    ["chat.tools", { message: "registry.ollama.ai/library/gemma:2b does not support tools" }],
    ["reasoning.effort", { message: '"llama3" does not support thinking' }],
    ["sampling.top_p", { message: "`temperature` and `top_p` cannot both be specified for this model." }],
    ["chat.images", { message: "This model does not support image input" }],
  ] as const)("is %s", (option, error) => {
    assert.strictEqual(refusedBy(400, { error }), option);
  });

  it.each([
    ["about a value", 400, { message: "temperature: 3 is greater than the maximum of 2", param: "temperature" }, sent],
    [
      "about too many values",
      400,
      { message: "'stop' is too long", param: "stop", code: "array_above_max_length" },
      sent,
    ],
    ["about something that was not sent", 400, { message: "Unsupported parameter: seed" }, '{"model":"m"}'],
    ["of another status", 500, { message: "Unsupported parameter: seed" }, sent],
    ["that quotes it", 400, { message: `bad content: ${"x".repeat(256)} Unsupported parameter: seed` }, sent],
    ["about the context", 400, { message: "maximum context length is 8 tokens" }, sent],
  ] as const)("is none in an error %s", (_, status, error, request) => {
    assert.isUndefined(refusedBy(status, { error }, request));
  });

  it("is none in what is not JSON, or no error of the server", () => {
    assert.isUndefined(refusedOption(new StatusRefused(400, undefined, "<p>"), sent, new Set()));
    assert.isUndefined(refusedOption(new Error("reset"), sent, new Set()));
  });

  const message = (text: string) => JSON.stringify({ error: { message: text } });
  const withPrompt = (content: string) =>
    JSON.stringify({ ...JSON.parse(sent), messages: [{ role: "user", content }] });
  const exclusion = message("`temperature` and `top_p` cannot both be specified for this model.");

  it.each([
    ["all tasks of the model", "model", 400, message("property 'seed' is unsupported"), sent],
    ["defaults, of two that exclude each other", "defaults", 400, exclusion, sent],
    [
      "the request whose text it quotes",
      "request",
      400,
      message("Invalid content: 'say \"unsupported parameter\" and seed'"),
      withPrompt('say "unsupported parameter" and seed'),
    ],
  ] as const)("holds for %s", (_, reach, status, body, request) => {
    assert.strictEqual(refusedOption(new StatusRefused(status, undefined, body), request, new Set())?.reach, reach);
  });

  it("holds for the request alone within a stream, where the model's output may be quoted", () => {
    const says = new BackendSays(message("error parsing tool call: raw='unsupported parameter: seed'"));
    assert.strictEqual(refusedOption(says, sent, new Set())?.reach, "request");
  });

  it.each([
    [["sampling.top_p"], "sampling.temperature"],
    [["sampling.temperature"], "sampling.top_p"],
    [["sampling.temperature", "sampling.top_p"], "sampling.top_p"],
  ] as const)("is, where it excludes another one and the task sets %s, %s in this request", (asked, option) => {
    const refused = refusedOption(
      new StatusRefused(400, undefined, exclusion),
      sent,
      new Set<ConversationOption>(asked),
    );
    assert.deepInclude(refused, { option, reach: "request" });
  });
});
