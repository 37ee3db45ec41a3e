import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { findUpwards, readConfigFile } from "../../../src/service/config/config-file.ts";
import { ConfigurationInvalid } from "../../../src/service/domain/errors.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = (text: string, environment: Record<string, string> = {}, name = "mlxd.yaml") => {
  writeFileSync(join(folder, name), text);
  return readConfigFile(join(folder, name), environment);
};

/** The message behind the folder's path. */
const refusal = (text: string, environment: Record<string, string> = {}): string => {
  try {
    read(text, environment);
  } catch (error) {
    assert.instanceOf(error, ConfigurationInvalid);
    return error.message.replace(`${folder}/`, "");
  }
  return assert.fail("was read");
};

describe("readConfigFile", () => {
  it("gives settings as variables, and models and families by name", () => {
    const file = read(
      "service: {port: 8080, reflection: false, models: ./weights, cors_origins: [https://a.example, https://b.example]}\n" +
        "models:\n  b: {aliases: [x]}\n  a: {pinned: true}\nfamilies: {qwen: {temperature: 1}}\n",
    );
    assert.deepEqual(
      [...file.settings],
      [
        ["MLXD_PORT", "8080"],
        ["MLXD_REFLECTION", "false"],
        ["MLXD_MODELS", join(folder, "weights")],
        ["MLXD_CORS_ORIGINS", "https://a.example,https://b.example"],
      ],
    );
    assert.deepEqual(Object.entries(file.models), [
      ["b", { aliases: ["x"] }],
      ["a", { pinned: true }],
    ]);
    assert.deepEqual(file.families, { qwen: { temperature: 1 } });
  });

  it("reads JSON to the same", () => {
    const yaml = read("models:\n  a:\n    pinned: true\n    defaults: {top_p: 0.5}\n");
    const json = read(JSON.stringify({ models: { a: { pinned: true, defaults: { top_p: 0.5 } } } }), {}, "mlxd.json");
    assert.deepEqual(json.models, yaml.models);
  });

  it("takes an empty file for one that says nothing", () => {
    assert.deepEqual(read("# nothing\n").models, {});
  });

  it("puts variables in, as numbers and truths where they stand unquoted", () => {
    const file = read(
      "service:\n  port: ${PORT}\n  host: ${HOST:-::1}\n  reflection: ${REFLECT:-false}\n" +
        'models:\n  a:\n    defaults: {temperature: 0, stop_sequences: ["${STOP}", "$${STOP}", "$5", "${EMPTY:-x}${PORT}"]}\n' +
        "    pinned: ${PIN}\n",
      { PORT: "81", STOP: "a: {b: c}", PIN: "true", EMPTY: "" },
    );
    assert.equal(file.settings.get("MLXD_PORT"), "81");
    assert.equal(file.settings.get("MLXD_HOST"), "::1");
    assert.equal(file.settings.get("MLXD_REFLECTION"), "false");
    assert.strictEqual(file.models["a"]?.pinned, true);
    assert.deepEqual(file.models["a"]?.defaults?.stop_sequences, ["a: {b: c}", "${STOP}", "$5", "x81"]);
  });

  it("never takes a list or a map out of a variable", () => {
    const message = refusal("models:\n  a:\n    aliases: ${LIST}\n", { LIST: "[x, y]" });
    assert.equal(message, 'mlxd.yaml:3: models.a.aliases: expected array, got "[x, y]"');
  });

  it.each<[string, string, string]>([
    ["a misspelt section", "modles: {}\n", "mlxd.yaml:1: modles: there is no such key; models?"],
    [
      "a misspelt key",
      "models:\n  a:\n    defaults:\n      top_p: 1\n      temprature: 1\n",
      "mlxd.yaml:5: models.a.defaults.temprature: there is no such key; temperature?",
    ],
    [
      "a misspelt key in a list",
      "models:\n  a:\n    adapters:\n      - id: x\n        pth: y\n",
      "mlxd.yaml:5: models.a.adapters[0].pth: there is no such key; path?",
    ],
    [
      "a key that is like none",
      "families:\n  qwen:\n    colour: blue\n",
      "mlxd.yaml:3: families.qwen.colour: there is no such key; there are temperature, top_p,",
    ],
    ["an unknown family", "families:\n  qwem: {}\n", "mlxd.yaml:2: families.qwem: there is no such key; qwen?"],
    [
      "a value out of bounds",
      "models:\n\n  a:\n    defaults:\n      temperature: 3\n",
      "mlxd.yaml:5: models.a.defaults.temperature: expected a value between 0 and 2, got 3",
    ],
    [
      "a value of another kind",
      "models:\n  a:\n    pinned: 1\n",
      "mlxd.yaml:3: models.a.pinned: expected boolean, got 1",
    ],
    [
      "a number that is none",
      "models:\n  a:\n    defaults: { temperature: .nan }\n",
      "mlxd.yaml:3: models.a.defaults.temperature: expected a finite number, got NaN",
    ],
    ["a model that is nothing", "models:\n  a:\n", "mlxd.yaml:2: models.a: expected object, got null"],
    [
      "an alias with odd characters",
      "models:\n  a:\n    aliases:\n      - fine\n      - not fine\n",
      "mlxd.yaml:5: models.a.aliases[1]: a name begins with a letter or digit",
    ],
    ["an id with odd characters", "models:\n  a b: {}\n", "mlxd.yaml:2: models.a b: an id begins with"],
    [
      "a repository id with odd characters",
      "models:\n  a:\n    repository: ../../etc/passwd\n",
      "mlxd.yaml:3: models.a.repository: a repository id is organisation/name",
    ],
    [
      "a repository id without organisation",
      "models:\n  a: {repository: Qwen3}\n",
      "mlxd.yaml:2: models.a.repository: a repository id is",
    ],
    [
      "a revision that climbs",
      "models:\n  a: {repository: a/b, revision: ../x}\n",
      "mlxd.yaml:2: models.a.revision: a revision is",
    ],
    ["a time without unit", "models:\n  a:\n    ttl: 30\n", "mlxd.yaml:3: models.a.ttl: expected string, got 30"],
    ["a time of another unit", "models:\n  a:\n    ttl: 3w\n", "mlxd.yaml:3: models.a.ttl: a time is a whole number"],
    [
      "a misspelt setting",
      "service:\n  host: x\n  prot: 1\n",
      "mlxd.yaml:3: service.prot: there is no such key; port?",
    ],
    ["a setting in capitals", "service:\n  PORT: 1\n", "mlxd.yaml:2: service.PORT: there is no such key; port?"],
    [
      "a setting out of bounds",
      "service:\n  port: 70000\n",
      "mlxd.yaml:2: service.port: expected a value between 0 and 65535, got 70000",
    ],
    ["a setting of another kind", "service:\n  reflection: perhaps\n", "mlxd.yaml:2: service.reflection: expected"],
    [
      "a variable that is not set",
      "models:\n  a:\n    path: x/${NOWHERE}/y\n",
      "mlxd.yaml:3: models.a.path: the variable NOWHERE is not set; ${NOWHERE:-default} gives it a value",
    ],
    ["a key that is there twice", "models:\n  a: {}\n  a: {}\n", "mlxd.yaml:3: Map keys must be unique"],
    ["what is not YAML", "models:\n  a: {\n", "mlxd.yaml:"],
    ["a list for a file", "- a\n", "mlxd.yaml:1: expected object"],
  ])("tells %s by file, line and key", (_, text, expected) => {
    assert.include(refusal(text), expected);
  });

  it("refuses aliases that multiply", () => {
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de", "ef"]) {
      bomb.push(`${to}: &${to} [${Array.from({ length: 9 }, () => `*${from}`).join(", ")}]`);
    }
    assert.match(refusal(bomb.join("\n")), /^mlxd\.yaml: Excessive alias count/);
  });

  it("tells a file that is not there", () => {
    assert.throws(() => readConfigFile(join(folder, "gone.yaml"), {}), /gone\.yaml: it cannot be read \(ENOENT\)/);
  });
});

describe("findUpwards", () => {
  it("finds the nearest, in the names' order", () => {
    const deep = join(folder, "a/b");
    mkdirSync(deep, { recursive: true });
    assert.isUndefined(findUpwards(deep, ["mlxd-nowhere.yaml"]));
    writeFileSync(join(folder, "mlxd.yml"), "");
    assert.equal(findUpwards(deep, ["mlxd.yaml", "mlxd.yml"]), join(folder, "mlxd.yml"));
    writeFileSync(join(folder, "mlxd.yaml"), "");
    assert.equal(findUpwards(deep, ["mlxd.yaml", "mlxd.yml"]), join(folder, "mlxd.yaml"));
    writeFileSync(join(deep, "mlxd.yml"), "");
    assert.equal(findUpwards(deep, ["mlxd.yaml", "mlxd.yml"]), join(deep, "mlxd.yml"));
  });
});
