import { assert, describe, it } from "vitest";

import { modelSupportOf, supportOf, taskKinds } from "../../../src/service/domain/supported-tasks.ts";
import { modelStatus } from "../../support/listed-models.ts";

const local = modelStatus("demo");
const reasons = (support: ReadonlyArray<{ task: string; supported: boolean; reason: string }>) =>
  Object.fromEntries(support.map(({ task, reason }) => [task, reason]));
const without = (changes: object) => ({
  ...local,
  facts: { ...local.facts, capabilities: { ...local.facts.capabilities, ...changes } },
});

describe("supported tasks", () => {
  it("are told for every kind, with a reason exactly where one is not supported", () => {
    for (const state of ["active", "failed", "not-downloaded", "downloading", "loading", "available"] as const) {
      const support = modelSupportOf({ ...local, state }, undefined, false);
      assert.deepEqual(
        support.map(({ task }) => task),
        taskKinds.map(({ name }) => name),
      );
      for (const { supported, reason } of support) assert.strictEqual(supported, reason === "");
    }
  });

  it("are none of a model that failed or is not here, with its own reason", () => {
    const failed = reasons(
      modelSupportOf({ ...local, state: "failed", stateReason: "x is missing" }, undefined, false),
    );
    for (const reason of Object.values(failed)) assert.strictEqual(reason, "it has failed: x is missing");
    const away = reasons(modelSupportOf({ ...local, state: "downloading" }, undefined, false));
    assert.strictEqual(away["chat"], "it is being downloaded");
  });

  it("leave out conversations and their tools where a smoke test failed, and nothing else", () => {
    const [before, after] = [false, true].map((refuses) =>
      reasons(modelSupportOf(without({ chat: true, tools: true }), undefined, refuses)),
    );
    assert.strictEqual(before?.["chat"], "");
    assert.match(after?.["chat"] ?? "", /smoke test failed/);
    assert.match(after?.["tools"] ?? "", /smoke test failed/);
    assert.strictEqual(after?.["prompt"], "");
  });

  it("tell of an engine that takes conversations which options it does not support", () => {
    const { capabilities } = without({
      logprobs: false,
      adapters: false,
      embeddings: false,
      tools: true,
      chat: true,
    }).facts;
    const told = reasons(supportOf({ capabilities, options: new Set(["chat.tools", "output.top_logprobs"]) }));
    assert.deepInclude(told, { chat: "", tools: "", logprobs: "" });
    assert.deepInclude(told, {
      prompt: "its engine takes conversations only",
      tokens: "its engine takes conversations only",
      adapters: "its engine applies no adapters",
      embeddings: "its engine computes no embeddings",
      tokenize: "its engine takes conversations and has no tokens",
    });
  });
});
