import { assert, describe, it } from "vitest";

import { engineNames } from "../../../src/service/domain/engine-names.ts";
import { aliasAt, modelAliases } from "../../../src/service/domain/model-aliases.ts";
import { checkRepository } from "../../../src/service/models/names/repository.ts";

describe("short names of models", () => {
  it("are called by each engine in its own way", () => {
    assert.strictEqual(aliasAt("ollama", "gpt-oss-20b"), "gpt-oss:20b");
    assert.strictEqual(aliasAt("vllm", " GPT-OSS-20b "), "openai/gpt-oss-20b");
    assert.strictEqual(aliasAt("local_mlx", "gpt-oss-20b"), "mlx-community/gpt-oss-20b-MXFP4-Q8");
  });

  it("are none where the engine or the table has none", () => {
    assert.isUndefined(aliasAt("anthropic", "gpt-oss-20b"));
    assert.isUndefined(aliasAt("ollama", "gpt-oss-21b"));
    assert.isUndefined(aliasAt("ollama", "__proto__"));
    assert.isUndefined(aliasAt("ollama", "constructor"));
  });

  it("are in lower case, and repositories here", () => {
    for (const [name, byEngine] of Object.entries(modelAliases)) {
      assert.strictEqual(name, name.toLowerCase());
      for (const engine of Object.keys(byEngine)) assert.include(engineNames as ReadonlyArray<string>, engine);
      assert.strictEqual(checkRepository(byEngine.local_mlx ?? "")._tag, "Success");
    }
  });
});
