import { assert, describe, it } from "vitest";

import type { GenerationInput } from "../../../src/service/domain/generation-task.ts";
import { estimateTokens } from "../../../src/service/engine/estimate-tokens.ts";
import { chat, message } from "../../support/tasks.ts";

const user = (text: string) => message("user", text);

describe("estimateTokens", () => {
  it.each<[GenerationInput, number]>([
    [{ type: "tokens", ids: [1, 2, 3] }, 3],
    [{ type: "prompt", text: "" }, 0],
    [{ type: "prompt", text: "12345" }, 2],
    // Bytes, not characters.
    [{ type: "prompt", text: "日本" }, 2],
    [chat(user("12345678")), 6],
    [chat(user("12345678"), user("")), 10],
  ])("of %o is %i", (input, tokens) => {
    assert.equal(estimateTokens(input), tokens);
  });

  it("counts all that the model reads: reasoning, calls and the tools that are offered", () => {
    const said = { ...message("assistant", ""), reasoning: "1234" };
    assert.equal(estimateTokens(chat(said)), 5);
    const call = { id: "c", name: "f", arguments: '{"a": 1}' };
    assert.equal(estimateTokens(chat({ ...said, toolCalls: [call] })), 8);
    const tool = { name: "f", description: "x".repeat(400), parameters: {} };
    const offering: GenerationInput = {
      type: "chat",
      messages: [user("1234")],
      tools: [tool],
      toolChoice: { mode: "auto" },
      templateOptions: {},
      continueFinalMessage: false,
    };
    assert.isAtLeast(estimateTokens(offering), 105);
  });

  it("counts an image as one of any size", () => {
    const image = { type: "image", source: { data: new Uint8Array(1_000_000) }, mediaType: "image/png" } as const;
    assert.equal(estimateTokens(chat({ ...user(""), content: [image] })), 260);
  });
});
