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

const read = (models: string, those = drivers) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, `models: {${models}}`);
  return readCatalog({ directory: join(folder, "models"), file: readConfigFile(path, {}) }, undefined, those);
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

  it("takes images if it says so, by its family, or as most of its engine's do", async () => {
    const seeing = { ...driver, options: new Set([...driver.options, "chat.images", "chat.image_urls"] as const) };
    const entries = await read(
      "a: {engine: ollama, model: gemma3, context_length: 9}, b: {engine: ollama, model: x, context_length: 9}, " +
        "c: {engine: ollama, model: x, context_length: 9, vision: true}, d: {engine: openai, context_length: 9}, " +
        "e: {engine: openai, context_length: 9, vision: false}",
      { ollama: seeing, openai: { ...seeing, images: "most" as const } },
    );
    assert.deepStrictEqual(
      entries
        .slice(0, 5)
        .map((entry) => [
          entry.facts.capabilities.vision,
          entry.takes === "conversations" && entry.options.has("chat.images"),
        ]),
      [true, false, true, true, false].map((vision) => [vision, vision]),
    );
    assert.include(await refusalOf("a: {engine: ollama, context_length: 9, vision: true}"), "ollama takes no images");
    assert.include(await refusalOf("local: {vision: true}"), "models.local.vision: is for models of other servers");
  });

  it("counts its prompts with the tokenizer of a model in the folder, by any of its names", async () => {
    const [first] = await read("a: {engine: ollama, context_length: 9, tokenizer: near}, local: {aliases: [near]}");
    assert.strictEqual(first?.takes === "conversations" && first.tokenizer, "local");
    const told = await refusalOf("a: {engine: ollama, context_length: 9, tokenizer: loca}, local: {}");
    assert.include(told, "models.a.tokenizer: in the model folder");
    assert.include(await refusalOf("local: {tokenizer: local}"), "models.local.tokenizer: is for models of other");
  });

  it("is not told to fetch images from the web at a server of the operator's own", async () => {
    const options = new Set([...driver.options, "chat.images", "chat.image_urls"] as const);
    const providers = { openai: { ...driver, options, images: "most" as const } };
    const path = join(folder, "mlxd.yaml");
    writeFileSync(
      path,
      "backends: {own: {engine: openai, base_url: 'http://own:1/v1'}}\n" +
        "models: {a: {engine: openai, context_length: 9}, b: {backend: own, context_length: 9}}",
    );
    const file = readConfigFile(path, {});
    const entries = await readCatalog({ directory: join(folder, "models"), file }, undefined, providers);
    const fetches = entries.map((entry) => entry.takes === "conversations" && entry.options.has("chat.image_urls"));
    assert.deepStrictEqual(fetches.slice(0, 2), [true, false]);
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
