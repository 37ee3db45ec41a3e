import { assert, describe, it } from "@effect/vitest";

import { detectOutputFormat } from "../../../src/service/output/output-format.ts";

const notationOf = (template: string, family = "unknown") => detectOutputFormat(template, family, []).notation;

describe("the notation of tool calls", () => {
  it("is the one that the template shows, whatever the family", () => {
    const templates = [
      ["{{ '<|start|>assistant<|channel|>final<|message|>' }}", "harmony"],
      ["{{ '<｜tool▁calls▁begin｜>' }}", "deepseek"],
      ["{{ '[TOOL_CALLS]' }}", "mistral"],
      ["{{ '<tool_call>' }}", "tagged"],
      ["{{ '<tool_call><function=NAME><parameter=KEY>' }}", "functions"],
      ["{{ '<tool_call>' + name + '<arg_key>' }}", "args"],
      ["{{ '<function=' + name + '>' }}", "functionary"],
      ["{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}", "phi"],
      ["{{ '<|python_tag|>' }}", "llama"],
      [`respond in the format {"name": function name, "parameters": dictionary}`, "llama"],
    ] as const;
    for (const [template, notation] of templates) {
      for (const family of ["qwen", "llama", "unknown"]) assert.strictEqual(notationOf(template, family), notation);
    }
  });

  it("is the family's where the template shows none, and tags where the family has none", () => {
    assert.strictEqual(notationOf("{{ tools }}", "mistral"), "mistral");
    assert.strictEqual(notationOf("{{ tools }}", "gpt-oss"), "harmony");
    assert.strictEqual(notationOf("{{ tools }}", "yi"), "tagged");
  });
});

describe("a notation that is not read", () => {
  it("is told by name", () => {
    const strangerIn = (template: string) => detectOutputFormat(template, "unknown", []).strangeCalls;
    assert.strictEqual(strangerIn("<|tool_calls_section_begin|>"), "Kimi");
    assert.strictEqual(strangerIn("<minimax:tool_call><invoke name="), "MiniMax");
    assert.strictEqual(strangerIn("reply as [func_name1(params_name1=params_value1)]"), "calls written as Python");
    assert.isUndefined(strangerIn("<tool_call>"));
  });
});

describe("the tags of reasoning", () => {
  it("are those that the template mentions", () => {
    const tagsOf = (template: string) => detectOutputFormat(template, "qwen", []).reasoningTags?.close;
    assert.strictEqual(tagsOf("{{ content.split('</think>')[0] }}"), "</think>");
    assert.strictEqual(tagsOf("[THINK] [/THINK]"), "[/THINK]");
    assert.isUndefined(tagsOf("{{ content }}"));
    assert.isUndefined(tagsOf("<|channel|>analysis </think>"));
  });
});
