import { assert, describe, it } from "@effect/vitest";

import {
  canonicalEngine,
  engineNames,
  isLocalEngine,
  splitEnginePrefix,
} from "../../../src/service/domain/engine-names.ts";

describe("the name of an engine", () => {
  it.each(engineNames)("%s is its own canonical name", (name) => {
    assert.strictEqual(canonicalEngine(name), name);
  });

  it.each([
    [" Ollama ", "ollama"],
    ["mlx", "local_mlx"],
    ["llama.cpp", "llamacpp"],
    ["Gemini", "google"],
    ["lmstudio:openai-compatible", "lmstudio"],
  ])("is found however it is written: %s", (written, name) => {
    assert.strictEqual(canonicalEngine(written), name);
  });

  it("is none where nobody knows it", () => {
    assert.isUndefined(canonicalEngine("somewhere"));
    assert.isUndefined(canonicalEngine(""));
  });

  it("says whether the engine runs on this machine", () => {
    assert.isTrue(isLocalEngine("mlx_omni"));
    assert.isFalse(isLocalEngine("openai"));
    assert.isFalse(isLocalEngine("google"));
  });
});

describe("a model's name with an engine before it", () => {
  it.each([
    ["ollama:qwen3:8b", { engine: "ollama", model: "qwen3:8b" }],
    ["lmstudio:openai-compatible:qwen/qwen3-8b", { engine: "lmstudio", model: "qwen/qwen3-8b" }],
    ["mlx: demo ", { engine: "local_mlx", model: "demo" }],
    ["ollama:", { engine: "ollama", model: "" }],
  ])("is split at the engine: %s", (name, split) => {
    assert.deepEqual<unknown>(splitEnginePrefix(name), split);
  });

  it.each(["qwen3:8b", "demo", "ollama"])("is the model's own name where no engine is meant: %s", (name) => {
    assert.isUndefined(splitEnginePrefix(name));
  });
});
