import { assert, describe, it } from "@effect/vitest";

import {
  ContextLengthExceeded,
  InvalidField,
  RequestMalformed,
  UnsupportedTask,
} from "../../../../src/service/domain/errors.ts";

describe("the message of a request's error", () => {
  it("names each field, and none where the message as a whole is wrong", () => {
    const violations = [
      { field: "task.sampling.top_p", description: "2 is over 1" },
      { field: "", description: "it has no task" },
    ];
    assert.strictEqual(new InvalidField({ violations }).message, "task.sampling.top_p: 2 is over 1; it has no task");
    assert.strictEqual(new RequestMalformed({ field: "", description: "no JSON" }).message, "no JSON");
    assert.strictEqual(new RequestMalformed({ field: "task", description: "no JSON" }).message, "task: no JSON");
  });

  it("says what a model does not do, why, and where to look", () => {
    const { message } = new UnsupportedTask({ task: "embedding", model: "demo", hint: "it has no pooling" });
    assert.include(message, 'model "demo" does not do embedding; it has no pooling; ListSupportedTasks');
  });

  const exceeded = { promptTokens: 100, maxOutputTokens: 20, contextLength: 110, estimated: false };

  it("says which numbers exceed the context, and what to lower", () => {
    const { message } = new ContextLengthExceeded(exceeded);
    assert.include(message, "100 prompt tokens and 20 output tokens exceed the context of 110");
    assert.include(message, "max_output_tokens");
  });

  it("says of a prompt that was not counted to its end how long it is at least", () => {
    assert.include(new ContextLengthExceeded({ ...exceeded, estimated: true }).message, "at least 100 prompt tokens");
  });

  it("names the text to embed that is too long", () => {
    const { message } = new ContextLengthExceeded({ ...exceeded, maxOutputTokens: 0, field: "texts[3]" });
    assert.match(message, /^texts\[3\]: 100 tokens exceed the context of 110: shorten the text/);
  });
});
