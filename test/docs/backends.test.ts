import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { readConfigFile } from "../../src/service/config/config-file.ts";
import { type BackendPreset, backendPresets } from "../../src/service/domain/backend-presets.ts";
import { openAiDrivers } from "../../src/service/engine/openai/OpenAiEngine.ts";
import { readCatalog } from "../../src/service/models/catalog/catalog.ts";

const page = readFileSync(new URL("../../docs/backends.md", import.meta.url), "utf8");

describe("docs/backends.md", () => {
  it("has the engines that there are, with their servers and variables", () => {
    const rows = [...page.matchAll(/^\| `(\w+)` +\| `(http[^`]+)` +\| (?:`(\w+)`|none) +\|$/gm)];
    assert.deepStrictEqual(
      rows.map(([, engine, baseUrl, keyVariable]) => [engine, baseUrl, keyVariable]),
      Object.entries<BackendPreset>(backendPresets).map(([engine, preset]) => [
        engine,
        preset.baseUrl,
        preset.keyVariable,
      ]),
    );
  });

  it("has configurations that the service takes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-backends-"));
    try {
      const path = join(folder, "mlxd.yaml");
      const entries = [];
      for (const [, text = ""] of page.matchAll(/```yaml\n([\s\S]*?)```/g)) {
        writeFileSync(path, text);
        const file = readConfigFile(path, {});
        entries.push(...(await readCatalog({ directory: folder, file }, undefined, openAiDrivers())));
      }
      assert.deepStrictEqual(
        entries.map((entry) => [entry.facts.id, entry.takes === "conversations" && entry.backend.baseUrl]),
        [
          ["gemma-macmini", "http://macmini.local:8080/v1"],
          ["qwen-macbook", "http://macbook.local:8080/v1"],
          ["qwen-local", "http://127.0.0.1:11434/v1"],
          ["mamba", "http://127.0.0.1:8080/v1"],
          ["mine", "http://127.0.0.1:8080/v1"],
        ],
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
