import { assert, describe, it } from "@effect/vitest";

import { nearestNames, resolveName } from "../../../src/service/models/resolve-name.ts";

const model = (id: string, ...aliases: readonly string[]) => ({ id, aliases, source: id.replace("--", "/") });
const models = [
  model("mlx-community--Qwen3-8B-4bit", "Qwen3-8B-4bit", "Qwen3-8B"),
  model("demo"),
  model("Demo"),
  model("llama-3.2-1b"),
];

describe("resolveName", () => {
  it.each([
    ["an id", "demo", "demo"],
    ["the exact one of two ids", "Demo", "Demo"],
    ["an id in another case", "LLAMA-3.2-1B", "llama-3.2-1b"],
    ["an alias", "Qwen3-8B", "mlx-community--Qwen3-8B-4bit"],
    ["an alias in another case", "qwen3-8b-4BIT", "mlx-community--Qwen3-8B-4bit"],
    ["a repository path", "mlx-community/Qwen3-8B-4bit", "mlx-community--Qwen3-8B-4bit"],
    ["no repository path in another case", "MLX-community/Qwen3-8B-4bit", undefined],
    ["nothing unknown", "gpt-4o", undefined],
    ["nothing of a part of a name", "llama", undefined],
  ])("knows %s", (_, name, id) => {
    assert.equal(resolveName(models, name)?.id, id);
  });
});

describe("nearestNames", () => {
  it.each([
    ["a slip", "llama-3.1-1b", ["llama-3.2-1b"]],
    ["a dropped letter", "dmo", ["demo", "Demo"]],
    ["a part of a name", "qwen3", ["mlx-community--Qwen3-8B-4bit"]],
    ["nothing like any", "gpt-4o-mini-2024", []],
    ["nothing", "", []],
  ])("finds %s", (_, name, ids) => {
    assert.deepEqual(nearestNames(models, name), ids);
  });

  it("tells three at most", () => {
    const many = ["model-1", "model-2", "model-3", "model-4"].map((id) => model(id));
    assert.lengthOf(nearestNames(many, "model-5"), 3);
  });
});
