import { assert, describe, it } from "@effect/vitest";

import {
  type ConversationOption,
  fieldOf,
  heededParameters,
  optionsUsed,
  unheededOption,
} from "../../../src/service/domain/conversation-options.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { started } from "../../support/scripted-generations.ts";
import { png } from "../../support/images.ts";
import { chat, message, task } from "../../support/tasks.ts";

const conversation = chat(message("user", "Hi"));
const plain = task({ input: conversation });
const tool = { name: "now", description: "", parameters: { type: "object" } };

const chatWith = (fields: object): GenerationTask["input"] => ({ ...conversation, ...fields });
const unheeded = (asked: GenerationTask, ...heeded: ConversationOption[]) => unheededOption(asked, new Set(heeded));

describe("the options of an engine that takes conversations", () => {
  it("are none in a plain conversation", () => {
    assert.isUndefined(unheeded(plain));
  });

  it.each<[ConversationOption, Partial<GenerationTask>]>([
    ["prompt", { input: { type: "prompt", text: "Hi" } }],
    ["tokens", { input: { type: "tokens", ids: [1] } }],
    ["chat.tools", { input: chatWith({ tools: [tool] }) }],
    ["chat.tool_choice", { input: chatWith({ toolChoice: { mode: "required" } }) }],
    ["chat.template_options", { input: chatWith({ templateOptions: { enable_thinking: false } }) }],
    ["chat.continue_final_message", { input: chatWith({ continueFinalMessage: true }) }],
    ["adapter", { adapter: "a" }],
    ["reasoning.effort", { reasoning: { effort: "low" } }],
    ["sampling.temperature", { sampling: { temperature: 0 } }],
    ["sampling.candidate_count", { sampling: { candidateCount: 2 } }],
    ["stop.stop_sequences", { stop: { ...plain.stop, stopSequences: ["\n"] } }],
    ["stop.ignore_eos", { stop: { ...plain.stop, ignoreEos: true } }],
    ["output.top_logprobs", { output: { ...plain.output, topLogprobs: 0 } }],
    ["constraint.json", { constraint: { type: "json-object" } }],
    ["constraint", { constraint: { type: "regex", pattern: "a" } }],
    ["cache.mode", { cache: { ...plain.cache, mode: "bypass" } }],
  ])("have %s", (option, fields) => {
    const asked = task({ input: conversation, ...fields });
    assert.equal(unheeded(asked), option);
    assert.isUndefined(unheeded(asked, option));
  });

  it("are apart for images and for those that the server would fetch", () => {
    const pictured = (source: { readonly data: Uint8Array } | { readonly url: string }) =>
      task({ input: chat({ ...message("user", ""), content: [{ type: "image", source, mediaType: "" }] }) });
    assert.equal(unheeded(pictured({ data: png })), "chat.images");
    assert.isUndefined(unheeded(pictured({ data: png }), "chat.images"));
    assert.equal(unheeded(pictured({ url: "http://a/b" }), "chat.images"), "chat.image_urls");
    assert.deepEqual([...optionsUsed(pictured({ url: "http://a/b" }))], ["chat.images", "chat.image_urls"]);
    assert.equal(fieldOf("chat.images"), "task.chat.messages");
  });

  it("count one candidate as none asked for", () => {
    assert.isUndefined(unheeded(task({ input: conversation, sampling: { candidateCount: 1 } })));
  });

  it("are named as fields of the request", () => {
    assert.equal(fieldOf("sampling.top_k"), "task.sampling.top_k");
    assert.equal(fieldOf("constraint.json"), "task.constraint");
  });

  it("take the defaults of what is not supported out of the parameters that are told", () => {
    const parameters = { ...started.parameters, topK: 5, minP: 0.1, repetitionPenalty: 1.2, seed: 7 };
    const told = heededParameters(parameters, new Set(["sampling.top_k", "sampling.seed"]));
    assert.deepEqual(told, {
      ...parameters,
      temperature: 1,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      stopSequences: [],
    });
  });
});
