import { assert, describe, it } from "@effect/vitest";

import { nearest, nearestOf } from "../../../src/service/domain/nearest.ts";

describe("nearest", () => {
  it.each<[string, string, readonly string[], readonly string[]]>([
    ["a letter that is missing", "dmo", ["demo", "llama"], ["demo"]],
    ["a letter too many", "demoo", ["demo", "llama"], ["demo"]],
    ["another case", "DEMO", ["demo", "llama"], ["demo"]],
    ["the beginning of a name", "qwen", ["llama", "mlx-community--Qwen3-8B-4bit"], ["mlx-community--Qwen3-8B-4bit"]],
    ["the nearest first", "cats", ["bots", "cat", "cast"], ["cat", "bots", "cast"]],
    ["three at most", "a", ["b", "c", "d", "e"], ["b", "c", "d"]],
    ["nothing that is far away", "gpt-4o", ["demo", "llama-3.2-1b"], []],
    ["more distance for a longer name", "temprature-of-it", ["temperature-of-text"], ["temperature-of-text"]],
    ["nothing where nothing is known", "demo", [], []],
  ])("finds %s", (_, asked, known, expected) => {
    assert.deepEqual(nearest(asked, known), expected);
  });

  it("counts the nearest of several names", () => {
    const models = [{ names: ["first", "alpha"] }, { names: ["second", "beta"] }];
    assert.deepEqual(
      nearestOf("bet", models, ({ names }) => names),
      models.slice(1),
    );
  });
});
