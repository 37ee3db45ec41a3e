/** What the changesets make of the version and of CHANGELOG.md. One for a package that is none had kept every release from being made. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, it } from "vitest";

import { changesOf } from "../../scripts/release/changes.ts";

const root = join(import.meta.dirname, "../..");

it("are taken as they stand, each with its text", async () => {
  const place = mkdtempSync(join(tmpdir(), "mlxd-changes-"));
  try {
    const { version, entry } = await changesOf({ root, place });
    assert.match(version, /^\d+\.\d+\.\d+$/);
    const files = readdirSync(join(root, ".changeset")).filter((name) => name.endsWith(".md") && name !== "README.md");
    const words = (text: string): string => text.replaceAll(/\s+/g, " ").trim();
    for (const file of files) {
      const [, , text = ""] = readFileSync(join(root, ".changeset", file), "utf8").split(/^---$/m);
      assert.include(words(entry), words(text), file);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
