import { assert, describe, it } from "@effect/vitest";

import { LoadError } from "../../../../src/service/worker/files/load-error.ts";
import { ModelConfig } from "../../../../src/service/worker/files/model-config.ts";

const problemOf = (read: () => unknown): string => {
  try {
    return `no problem: ${JSON.stringify(read())}`;
  } catch (error) {
    assert.instanceOf(error, LoadError);
    return error.message;
  }
};

const config = ModelConfig.parse(
  JSON.stringify({
    layers: 4,
    half: 0.5,
    none: null,
    zero: 0,
    negative: -2,
    name: "qwen2",
    tied: true,
    sizes: [1, 2],
    mixed: [1, "a"],
    types: ["full", "sliding"],
    rope: { factor: 8, type: "x" },
    off: false,
  }),
);

describe("a model's config", () => {
  it("gives values of the kind that is asked for, or the fallback", () => {
    assert.equal(config.number("half"), 0.5);
    assert.equal(config.count("layers"), 4);
    assert.equal(config.divisor("layers", 8), 4);
    assert.equal(config.countUpTo("layers", 4), 4);
    assert.equal(config.positive("half"), 0.5);
    assert.equal(config.string("name"), "qwen2");
    assert.isTrue(config.boolean("tied"));
    assert.deepEqual(config.numbers("sizes"), [1, 2]);
    assert.deepEqual(config.strings("types"), ["full", "sliding"]);
    assert.deepEqual(config.words("types", 2, ["full", "sliding"]), ["full", "sliding"]);
    assert.equal(config.number("missing", 3), 3);
    assert.equal(config.number("none", 3), 3);
    assert.isUndefined(config.words("missing", 2, []));
    assert.isUndefined(config.section("none"));
    assert.deepEqual([config.has("zero"), config.has("none"), config.has("missing")], [true, false, false]);
  });

  it("has sections, which can be switched off", () => {
    assert.equal(config.section("rope")?.count("factor"), 8);
    const override = config.override("rope");
    assert.equal(override === false ? undefined : override?.string("type"), "x");
    assert.isFalse(config.override("off"));
    assert.isUndefined(config.override("tied"));
    assert.isUndefined(config.override("missing"));
  });

  it.each<[string, () => unknown, string]>([
    ["what is missing", () => config.number("missing"), "config.json: missing is missing, it must be a number"],
    ["another kind", () => config.number("name"), 'config.json: name is "qwen2", it must be a number'],
    ["a fraction", () => config.count("half"), "config.json: half is 0.5, it must be a whole number over 0"],
    ["zero", () => config.count("zero"), "config.json: zero is 0, it must be a whole number over 0"],
    ["what is not over 0", () => config.positive("negative"), "config.json: negative is -2, it must be over 0"],
    ["what does not divide", () => config.divisor("layers", 6), "config.json: layers is 4, it must be a divisor of 6"],
    ["what is too much", () => config.countUpTo("layers", 3), "config.json: layers is 4, it must be at most 3"],
    ["a number for a flag", () => config.boolean("zero"), "config.json: zero is 0, it must be true or false"],
    [
      "a list of several kinds",
      () => config.numbers("mixed"),
      'config.json: mixed is [1,"a"], it must be a list of numbers',
    ],
    ["no list", () => config.strings("name"), 'config.json: name is "qwen2", it must be a list of strings'],
    ["a list for a section", () => config.section("sizes"), "config.json: sizes is [1,2], it must be an object"],
    [
      "words that are not known",
      () => config.words("types", 2, ["full"]),
      'config.json: types is ["full","sliding"], it must be a list of 2, each one of full',
    ],
    [
      "what is deeper, by its path",
      () => config.section("rope")?.count("type"),
      'config.json: rope.type is "x", it must be a number',
    ],
  ])("refuses %s, and says where and what", (_, read, problem) => {
    assert.equal(problemOf(read), problem);
  });

  it("shows the beginning of a long value only", () => {
    const long = ModelConfig.parse(JSON.stringify({ name: "x".repeat(1000) }));
    assert.isBelow(problemOf(() => long.number("name")).length, 140);
  });

  it("names its file where that is no JSON, or no object", () => {
    assert.match(
      problemOf(() => ModelConfig.parse("{", "adapter_config.json")),
      /^adapter_config\.json is not valid JSON: /,
    );
    for (const text of ["[]", "null", "7"])
      assert.equal(
        problemOf(() => ModelConfig.parse(text)),
        "config.json is not a JSON object",
      );
  });
});
