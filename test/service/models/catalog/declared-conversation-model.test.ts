import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";

import { readConfigFile } from "../../../../src/service/config/config-file.ts";
import { ConfigurationInvalid } from "../../../../src/service/domain/errors.ts";
import { readCatalog } from "../../../../src/service/models/catalog/catalog.ts";
import { makeScriptedConversations, scriptedDriver } from "../../../support/scripted-conversations.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-declared-"));
  mkdirSync(join(folder, "models", "local"), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const driver = scriptedDriver(makeScriptedConversations({ promptTokens: 0, pieces: [] }), [], ["chat.tools"]);
const drivers = { ollama: driver, openai: driver };

const read = (models: string) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, `models: {${models}}`);
  return readCatalog({ directory: join(folder, "models"), file: readConfigFile(path, {}) }, undefined, drivers);
};
const refusalOf = (models: string): Promise<string> =>
  read(models).then(
    () => assert.fail("was read"),
    (error: Error) => {
      assert.instanceOf(error, ConfigurationInvalid);
      return error.message.replace(`${folder}/`, "");
    },
  );

describe("a declared model of another engine", () => {
  it("stands in the file's order, and what is known of it is what the file and the driver say", async () => {
    const entries = await read(
      'a: {engine: OLLAMA, model: "qwen3:8b", context_length: 4096, aliases: [x], priority: 3}, local: {}, b: {engine: openai, context_length: 9}',
    );
    assert.deepStrictEqual(
      entries.map(({ facts: { id, engine, source, aliases } }) => [id, engine, source, ...aliases]),
      [
        ["a", "ollama", "qwen3:8b", "x"],
        ["local", "mlx", "local"],
        ["b", "openai", "b"],
      ],
    );
    const [first] = entries;
    assert.deepInclude(first?.facts, { family: "qwen", contextLength: 4096, revision: "ollama:qwen3:8b" });
    assert.deepInclude(first?.facts.capabilities, { chat: true, tools: true, embeddings: false });
    assert.deepInclude(first?.policy, { priority: 3, pinned: false });
  });

  it.each([
    ["path", "path: models/x"],
    ["repository", "repository: org/x"],
    ["revision", "revision: main"],
    ["draft", "draft: local"],
    ["adapters", "adapters: []"],
  ])("has no %s: its engine has its files", async (key, text) => {
    const told = await refusalOf(`a: {engine: ollama, context_length: 9, ${text}}`);
    assert.include(told, `models.a.${key}: its model runs on ollama, which has its files: leave it out`);
  });

  it.each([
    ["no context length", "a: {engine: ollama}", "models.a.context_length: is missing"],
    [
      "an engine without a driver",
      "a: {engine: groq}",
      "this service does not run models on groq; there is mlx, ollama",
    ],
    ["an engine that is none", "a: {engine: olama}", 'there is no engine "olama"; ollama?'],
    ["a name of another model", "a: {engine: ollama, context_length: 9, aliases: [local]}, local: {}", "is a name of"],
    ["a name at an engine for one of the folder", "local: {model: x}", "models.local.model: is for models of other"],
  ])("is refused with %s", async (_, models, told) => {
    assert.include(await refusalOf(models), told);
  });
});
