import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { readConfigFile } from "../../src/service/config/config-file.ts";
import { folderEntries } from "../support/folder-entries.ts";
import { writeCheckpoint } from "../fixtures/checkpoint.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const inDocs = /```yaml\n([\s\S]*?)```/.exec(read("docs/configuration.md"))?.[1] ?? "";
const example = read("deploy/mlxd.example.yaml");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-example-"));
  for (const model of ["mlx-community--Qwen3-8B-4bit", "support-bot"]) {
    writeCheckpoint(join(folder, "models", model), {
      "config.json": { model_type: "qwen3", vocab_size: 268, max_position_embeddings: 32768, eos_token_id: 264 },
    });
  }
  mkdirSync(join(folder, "models/adapters/polite"), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = async (text: string) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, text);
  const file = readConfigFile(path, {});
  return { file, catalog: await folderEntries({ directory: join(folder, "models"), file }) };
};

describe("the example in docs/configuration.md", () => {
  it("is one that the service takes", async () => {
    const { file, catalog } = await load(inDocs);
    assert.equal(file.settings.get("MLXD_PORT"), "50051");
    const chat = catalog.find(({ facts }) => facts.id === "chat");
    assert.deepInclude(chat, { problem: undefined });
    assert.deepInclude(chat?.facts, { contextLength: 8192, family: "qwen" });
    assert.deepInclude(chat?.facts.defaults, { temperature: 0.6, maxOutputTokens: 1024 });
  });
});

describe("deploy/mlxd.example.yaml", () => {
  it("is one that the service takes, and says what its comments say", async () => {
    const { file, catalog } = await load(example);
    assert.equal(file.settings.get("MLXD_MODELS"), join(folder, "models"));
    assert.equal(file.settings.get("MLXD_HOST"), "127.0.0.1");
    const [qwen, bot] = catalog;
    assert.deepInclude(qwen, { problem: undefined });
    assert.include(qwen?.facts.aliases ?? [], "default-chat");
    assert.isTrue(qwen?.policy.pinned);
    assert.deepInclude(bot, { problem: undefined });
    assert.deepInclude(bot?.policy, { ttlMs: 1_800_000, priority: -10, draft: "qwen3-8b" });
    assert.deepEqual(bot?.policy.adapters, [{ id: "polite", directory: join(folder, "models/adapters/polite") }]);
    assert.deepInclude(bot?.facts.defaults, { temperature: 0.3, maxOutputTokens: 1024, stopSequences: ["</s>"] });
  });

  it("has every key that there is", () => {
    const documented = read("docs/configuration.md");
    const source = read("src/service/config/config-schema.ts");
    const keys = [...source.matchAll(/^ {2}([a-z_]+): Schema\.optionalKey/gm)].map(([, key = ""]) => key);
    assert.isAbove(keys.length, 20);
    for (const key of keys) {
      if (["presence_penalty", "frequency_penalty", "min_p", "repetition_penalty"].includes(key)) {
        assert.include(documented, `\`${key}\``);
      } else assert.match(example, new RegExp(`\\b${key}:`));
    }
  });
});
