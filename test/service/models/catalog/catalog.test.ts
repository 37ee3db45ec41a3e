import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { readConfigFile } from "../../../../src/service/config/config-file.ts";
import { ConfigurationInvalid } from "../../../../src/service/domain/errors.ts";
import { folderEntries } from "../../../support/folder-entries.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-catalog-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, changes: Record<string, unknown> = {}) => writeCheckpoint(join(folder, name), changes);
const names = async () => (await folderEntries({ directory: folder })).map(({ facts }) => [facts.id, ...facts.aliases]);

describe("folderEntries", () => {
  it("lists the model folders by name, links followed, other files and hidden folders left out", async () => {
    write("qwen-b");
    write("Qwen-a");
    write(".hidden");
    writeFileSync(join(folder, "README.md"), "");
    symlinkSync(join(folder, "qwen-b"), join(folder, "z-link"));
    symlinkSync(join(folder, "nowhere"), join(folder, "z-dangling"));
    assert.deepEqual(await names(), [["Qwen-a"], ["qwen-b"], ["z-link"]]);
  });

  it("takes a model's own folder as a catalog of one", async () => {
    const [entry, ...others] = await folderEntries({ directory: write("demo") });
    assert.equal(entry?.facts.id, "demo");
    assert.equal(entry?.facts.directory, join(folder, "demo"));
    assert.lengthOf(others, 0);
  });

  it("lists a broken model with the reason, beside the others", async () => {
    write("good");
    write("no-weights", { "model.safetensors": undefined });
    mkdirSync(join(folder, "empty"));
    const entries = await folderEntries({ directory: folder });
    assert.deepEqual(
      entries.map(({ facts, problem }) => [facts.id, problem]),
      [
        ["empty", "config.json is missing"],
        ["good", undefined],
        ["no-weights", "model.safetensors is missing"],
      ],
    );
  });

  it("gives short names to models that are named after a repository", async () => {
    write("mlx-community--Qwen3-8B-4bit");
    write("org--Phi-4-mlx-8bit");
    write("Llama-3.2-1B-bf16");
    assert.deepEqual(await names(), [
      ["Llama-3.2-1B-bf16", "Llama-3.2-1B"],
      ["mlx-community--Qwen3-8B-4bit", "Qwen3-8B-4bit", "Qwen3-8B"],
      ["org--Phi-4-mlx-8bit", "Phi-4-mlx-8bit", "Phi-4"],
    ]);
    const [, qwen] = await folderEntries({ directory: folder });
    assert.equal(qwen?.facts.source, "mlx-community/Qwen3-8B-4bit");
  });

  it("gives no name to two models", async () => {
    write("a--Qwen3-8B-4bit");
    write("b--Qwen3-8B-8bit");
    write("phi");
    write("c--Phi");
    assert.deepEqual(await names(), [
      ["a--Qwen3-8B-4bit", "Qwen3-8B-4bit"],
      ["b--Qwen3-8B-8bit", "Qwen3-8B-8bit"],
      ["c--Phi"],
      ["phi"],
    ]);
  });

  it("is empty where the folder is, and fails where there is none", async () => {
    assert.deepEqual(await folderEntries({ directory: folder }), []);
    const code = await folderEntries({ directory: join(folder, "nowhere") }).then(
      () => "",
      (error: { code: string }) => error.code,
    );
    assert.equal(code, "ENOENT");
  });
});

const config = (changes: Record<string, unknown>) => ({
  "config.json": { model_type: "qwen3", vocab_size: 268, max_position_embeddings: 512, eos_token_id: 264, ...changes },
});

/** The catalog with a file beside the model folder. */
const declared = async (text: string) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, text);
  const file = readConfigFile(path, {});
  return folderEntries({ directory: join(folder, "models"), file });
};
const writeModel = (name: string, changes: Record<string, unknown> = {}) => write(join("models", name), changes);
const refused = (text: string) =>
  declared(text).then(
    () => assert.fail("was read"),
    (error: Error) => {
      assert.instanceOf(error, ConfigurationInvalid);
      return error.message.replace(`${folder}/`, "");
    },
  );

describe("the catalog of a file and a folder", () => {
  it("has the file's models in its order, then the folder's others", async () => {
    for (const name of ["a", "b", "z", "org--Phi-4-8bit"]) writeModel(name);
    const entries = await declared(
      "models:\n  z: {}\n  small: {path: models/b, aliases: [tiny, demo:1b]}\n  phi: {repository: org/Phi-4-8bit}\n",
    );
    assert.deepEqual(
      entries.map(({ facts, problem }) => [facts.id, facts.aliases.join(" "), facts.source, problem]),
      [
        ["z", "", "z", undefined],
        ["small", "tiny demo:1b b", "b", undefined],
        ["phi", "org--Phi-4-8bit Phi-4-8bit Phi-4", "org/Phi-4-8bit", undefined],
        ["a", "", "a", undefined],
      ],
    );
    const paths = entries.map(({ facts }) => facts.directory);
    assert.deepEqual(
      paths,
      ["z", "b", "org--Phi-4-8bit", "a"].map((name) => join(folder, "models", name)),
    );
  });

  it("finds a repository in folders of two levels, too", async () => {
    writeModel("org/Phi-4");
    const [phi] = await declared("models: {phi: {repository: org/Phi-4}}");
    assert.deepInclude(phi, { problem: undefined });
    assert.equal(phi?.facts.directory, join(folder, "models/org/Phi-4"));
  });

  it("knows models whose files are not there, and tells that from broken ones", async () => {
    mkdirSync(join(folder, "models"));
    const entries = await declared("models: {phi: {repository: org/Phi-4}, own: {path: models/own}, other: {}}");
    assert.deepEqual(
      entries.map(({ problem }) => problem),
      [
        "its repository org/Phi-4 is not in the model folder",
        "its folder is not in the model folder",
        "its folder is not in the model folder",
      ],
    );
    assert.deepEqual(
      entries.map(({ problemIs, download }) => [problemIs, download?.repository]),
      [
        ["missing", "org/Phi-4"],
        ["missing", undefined],
        ["missing", undefined],
      ],
    );
  });

  it("takes defaults of the file over the checkpoint's over the family's", async () => {
    writeModel("qwen", { "generation_config.json": { temperature: 0.6, top_k: 20 } });
    const text = (defaults: string) => `models: {qwen: {defaults: {${defaults}}}}\nfamilies: {qwen: {top_p: 0.7}}`;
    const [own] = await declared(text("temperature: 0.1, stop_sequences: [x]"));
    assert.deepInclude(own?.facts.defaults, { temperature: 0.1, topK: 20, topP: 0.7, maxOutputTokens: 4096 });
    assert.deepEqual(own?.facts.defaults.stopSequences, ["<|im_end|>", "<|endoftext|>", "x"]);
    const [plain] = await declared(text(""));
    assert.equal(plain?.facts.defaults.temperature, 0.6);
  });

  it("tells the family by id, repository, config.json's names and model_type, unless the file does", async () => {
    writeModel("by-name--gemma-2");
    writeModel("mine", config({ model_type: "phi3" }));
    writeModel("trained", config({ model_type: "qwen2", _name_or_path: "org/Mistral-7B" }));
    writeModel("odd", config({ model_type: "mamba" }));
    writeModel("told");
    const entries = await declared(
      "models: {told: {family: deepseek}, g: {repository: by-name/gemma-2}}\nfamilies: {deepseek: {clean_up: []}}",
    );
    const families = Object.fromEntries(entries.map(({ facts }) => [facts.id, facts.family]));
    assert.deepEqual(families, { told: "deepseek", g: "gemma", mine: "phi", odd: "unknown", trained: "mistral" });
    assert.deepEqual(entries[0]?.profile.postprocess, []);
    assert.isFalse(entries.find(({ facts }) => facts.id === "trained")?.profile.supportsSystem);
  });

  it("cuts the context where the file says so", async () => {
    writeModel("a");
    const [a] = await declared("models: {a: {context_length: 100}}");
    assert.equal(a?.facts.contextLength, 100);
  });

  it("resolves a draft to its id", async () => {
    writeModel("a");
    writeModel("org--Big-4bit");
    const [big] = await declared("models: {big: {repository: org/Big-4bit, draft: A}}");
    assert.equal(big?.policy.draft, "a");
    assert.deepInclude(big?.draft, { problem: undefined });
    assert.equal(big?.draft?.facts.id, "a");
  });

  it.each<[string, string, string]>([
    [
      "a path outside of the folder",
      "models:\n  a:\n    path: ../x\n",
      'mlxd.yaml:3: models.a.path: "../x" is outside',
    ],
    ["an absolute path outside", "models:\n  a: {path: /etc}\n", 'mlxd.yaml:2: models.a.path: "/etc" is outside'],
    ["an id that climbs", "models:\n  a/../../..: {}\n", "mlxd.yaml:2: models.a/../../..: its folder is outside"],
    [
      "an adapter outside",
      "models:\n  a:\n    adapters:\n      - {id: x, path: ../x}\n",
      "mlxd.yaml:4: models.a.adapters[0].path: ",
    ],
    [
      "an adapter that is not there",
      "models:\n  a: {adapters: [{id: x, path: models/x}]}\n",
      'models.a.adapters[0].path: there is no folder "models/x"',
    ],
    [
      "two models with one alias",
      "models:\n  a:\n    aliases: [x]\n  b:\n    aliases:\n      - X\n",
      'mlxd.yaml:6: models.b.aliases[0]: "X" is a name of model "a" already',
    ],
    [
      "an alias that is a model of the folder",
      "models:\n  a:\n    aliases: [b]\n",
      'mlxd.yaml:3: models.a.aliases[0]: "b" is a name of model "b" already',
    ],
    [
      "an alias that is another's repository",
      "models:\n  a: {}\n  c: {repository: o/c}\n  b:\n    aliases: [o/c]\n",
      'mlxd.yaml:5: models.b.aliases[0]: "o/c" is a name of model "c" already',
    ],
    ["an alias twice", "models: {a: {aliases: [x, x]}}", 'models.a.aliases[1]: "x" is a name of this model already'],
    [
      "an id that is another model of the folder",
      "models:\n  b: {path: models/a}\n",
      'mlxd.yaml:2: models.b: the model folder has another model "b"',
    ],
    [
      "a context over the model's own",
      "models: {a: {context_length: 513}}",
      "models.a.context_length: 513 is more than the model's own 512",
    ],
    ["a revision of nothing", "models: {a: {revision: main}}", "models.a.revision: there is no repository"],
    ["an engine that is none", "models: {a: {engine: mxl}}", 'models.a.engine: there is no engine "mxl"; mlx?'],
    [
      "an engine without driver",
      "models: {a: {engine: lm-studio}}",
      "models.a.engine: this service does not run models on lmstudio",
    ],
    ["a draft that is not there", "models: {a: {draft: gone}}", 'models.a.draft: no model is called "gone"'],
    ["a model that drafts for itself", "models: {a: {draft: A}}", "models.a.draft: a model does not draft for itself"],
    [
      "a draft in a family that takes none",
      "models: {a: {family: gpt-oss, draft: b}}",
      "models.a.draft: models of the family gpt-oss run without a draft",
    ],
  ])("refuses %s by line and key", async (_, text, expected) => {
    writeModel("a");
    writeModel("b");
    assert.include(await refused(text), expected);
  });

  it("takes a path that leads into the folder by a link", async () => {
    writeModel("a");
    symlinkSync(join(folder, "models"), join(folder, "link"));
    const [a] = await declared("models: {x: {path: link/a}}");
    assert.deepInclude(a, { problem: undefined });
  });
});
