import { assert, describe, it } from "@effect/vitest";

import { ConfigurationInvalid } from "../../../../src/service/domain/errors.ts";
import { assignAliases, type NamedModel } from "../../../../src/service/models/names/model-names.ts";

const model = (id: string, fields: Partial<Pick<NamedModel, "aliases" | "source" | "folder">> = {}): NamedModel => ({
  id,
  aliases: [],
  source: id.replace("--", "/"),
  folder: id,
  ...fields,
  invalid: (index, problem) =>
    new ConfigurationInvalid({
      file: "mlxd.yaml",
      line: 0,
      key: index === undefined ? id : `${id}.aliases.${index}`,
      problem,
    }),
});

const problemOf = (models: ReadonlyArray<NamedModel>): string => {
  try {
    assignAliases(models);
    return "none";
  } catch (error) {
    assert.instanceOf(error, ConfigurationInvalid);
    return `${error.key}: ${error.problem}`;
  }
};

describe("assignAliases", () => {
  it("gives a repository's model its name, also without the suffix of its quantisation", () => {
    const named = ["mlx-community--Qwen3-8B-4bit", "org--Model-MLX-8-bit", "org--Other-bf16", "org--Last-mxfp4-mlx"];
    assert.deepEqual(assignAliases(named.map((id) => model(id))), [
      ["Qwen3-8B-4bit", "Qwen3-8B"],
      ["Model-MLX-8-bit", "Model"],
      ["Other-bf16", "Other"],
      ["Last-mxfp4-mlx", "Last"],
    ]);
  });

  it("keeps the name of the folder for a model with another id, after the declared aliases", () => {
    const chat = model("chat", { folder: "org--Model-4bit", source: "org/Model-4bit", aliases: ["talk"] });
    assert.deepEqual(assignAliases([chat]), [["talk", "org--Model-4bit", "Model-4bit", "Model"]]);
  });

  it("gives nobody a short name that two models would have, and never one that is an id or a declared alias", () => {
    const models = [
      model("a--Model-4bit"),
      model("b--Model-8bit"),
      model("c--Taken-4bit"),
      model("taken"),
      model("demo", { aliases: ["model-8BIT"] }),
    ];
    assert.deepEqual(assignAliases(models), [["Model-4bit"], [], ["Taken-4bit"], [], ["model-8BIT"]]);
  });

  it("refuses a name that is taken, whatever its case", () => {
    assert.equal(problemOf([model("a"), model("a")]), 'a: the model folder has another model "a"');
    const declared = (aliases: readonly string[], other = model("b")) => problemOf([model("a", { aliases }), other]);
    assert.equal(declared(["ok", "B"]), 'a.aliases.1: "B" is a name of model "b" already');
    assert.equal(declared(["x", "X"]), 'a.aliases.1: "X" is a name of this model already');
    assert.equal(declared(["a"]), 'a.aliases.0: "a" is a name of this model already');
    assert.equal(
      declared(["org/b"], model("b", { source: "Org/B" })),
      'a.aliases.0: "org/b" is a name of model "b" already',
    );
  });

  it("takes ids that differ in case only for different models", () => {
    assert.deepEqual(assignAliases([model("demo"), model("Demo")]), [[], []]);
  });
});
