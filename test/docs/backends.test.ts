import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { withTables } from "../../scripts/backends-table.ts";
import { backendPresets } from "../../src/service/domain/backend-presets.ts";
import { readConfigFile } from "../../src/service/config/config-file.ts";
import { backendDrivers } from "../../src/service/engine/backends/backend-drivers.ts";
import { readCatalog } from "../../src/service/models/catalog/catalog.ts";

const page = readFileSync(new URL("../../docs/backends.md", import.meta.url), "utf8");

describe("docs/backends.md", () => {
  it("has the engines that there are, as `npm run docs:backends` writes them", () => {
    assert.strictEqual(page, withTables(page));
    assert.include(page, "`https://generativelanguage.googleapis.com/v1beta/openai`");
  });

  it("has configurations that the service takes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-backends-"));
    try {
      const path = join(folder, "mlxd.yaml");
      const entries: Awaited<ReturnType<typeof readCatalog>>[number][] = [];
      for (const [, text = ""] of page.matchAll(/```yaml\n([\s\S]*?)```/g)) {
        writeFileSync(path, text);
        const file = readConfigFile(path, {});
        entries.push(...(await readCatalog({ directory: folder, file }, undefined, backendDrivers())));
      }
      const isOfPreset = ({ facts }: (typeof entries)[number]) => facts.id.startsWith("of-");
      assert.deepStrictEqual(
        entries.filter(isOfPreset).map(({ facts }) => facts.engine),
        Object.keys(backendPresets),
      );
      assert.deepStrictEqual(
        entries
          .filter((entry) => !isOfPreset(entry))
          .map((entry) => [entry.facts.id, entry.takes === "conversations" && entry.backend.baseUrl]),
        [
          ["gemma-macmini", "http://macmini.local:8080/v1"],
          ["qwen-macbook", "http://macbook.local:8080/v1"],
          ["qwen-local", "http://127.0.0.1:11434/v1"],
          ["mamba", "http://127.0.0.1:8080/v1"],
          ["mine", "http://127.0.0.1:8080/v1"],
          ["large", "http://127.0.0.1:8080/v1"],
          ["eyes", "http://127.0.0.1:8000/v1"],
          ["qwen-near", false],
          ["qwen-far", "http://127.0.0.1:8000/v1"],
        ],
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
