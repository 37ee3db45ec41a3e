import { assert, describe, it } from "vitest";

import { textRequest } from "../../../../src/service/engine/openai/text-request.ts";
import { servedModel } from "../../../support/served-model.ts";

const parameters = {
  ...servedModel({ id: "demo", source: "m", engine: "vllm" }).defaults,
  maxOutputTokens: 9,
  seed: 7,
  minOutputTokens: 0,
  stopTokenIds: [],
};
const bodyOf = (topLogprobs?: number): unknown =>
  JSON.parse(textRequest("m", "vllm", "Once", { parameters, topLogprobs }, new Set()));

describe("the request of a text completion", () => {
  it("has the prompt as it stands, and the options of the task", () => {
    assert.deepInclude(bodyOf(), { model: "m", prompt: "Once", stream: true, max_tokens: 9, seed: 7 });
    assert.notProperty(bodyOf(), "messages");
    assert.notProperty(bodyOf(), "logprobs");
  });

  it("has the number of alternatives for logprobs", () => {
    assert.deepInclude(bodyOf(0), { logprobs: 0 });
    assert.deepInclude(bodyOf(3), { logprobs: 3 });
  });
});
