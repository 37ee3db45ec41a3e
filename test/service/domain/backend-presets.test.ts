import { assert, describe, it } from "vitest";

import {
  answerPath,
  backendPresets,
  isBackendEngine,
  speaksMessages,
} from "../../../src/service/domain/backend-presets.ts";
import { engineNames } from "../../../src/service/domain/engine-names.ts";

describe("the presets of backends", () => {
  it("are asked at the path of their form of API", () => {
    assert.isTrue(speaksMessages("anthropic"));
    assert.strictEqual(answerPath("anthropic", "chat"), "messages");
    assert.isFalse(speaksMessages("ollama"));
    assert.strictEqual(answerPath("ollama", "chat"), "chat/completions");
    assert.strictEqual(answerPath("vllm", "prompt"), "completions");
  });

  it("are of every engine but the one whose models are in the model folder", () => {
    assert.deepStrictEqual(
      engineNames.filter((engine) => !isBackendEngine(engine)),
      ["local_mlx"],
    );
    assert.sameMembers(Object.keys(backendPresets), engineNames.filter(isBackendEngine));
  });
});
