import { assert, describe, it } from "@effect/vitest";

import { EngineLost, ModelUnloaded } from "../../../../src/service/domain/errors.ts";

describe("an engine that was lost", () => {
  it("says to ask again where nothing was sent", () => {
    const { message } = new EngineLost({ model: "demo" });
    assert.strictEqual(message, 'the engine of model "demo" died during this request; no output was sent: ask again');
  });

  it("says that the output so far stands where some was sent, and why it ended", () => {
    const { message } = new EngineLost({ model: "demo", how: "stalled", reason: "no progress", delivered: true });
    assert.include(message, "stalled (no progress) during this generation; the output so far stands");
  });

  it("does not say to ask again where the request has ended two processes", () => {
    const { message } = new EngineLost({ model: "demo", deaths: 2 });
    assert.include(message, "2 times");
    assert.notInclude(message, "ask again");
  });
});

it("a model that was unloaded under a request says what became of its output", () => {
  assert.include(new ModelUnloaded({ model: "demo" }).message, "no output was sent: ask again");
  assert.include(new ModelUnloaded({ model: "demo", delivered: true }).message, "the output so far stands");
});
