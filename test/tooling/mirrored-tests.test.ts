/**
 * Tests mirror sources by name: src/a/B.ts is tested in test/a/B.test.ts. A source without one is on the list below, which may
 * only become shorter; wiring, types and tables have no logic and need none.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** Folders where each source with logic has a test of its name, or is listed here: then others of its folder test it. */
const untested: Readonly<Record<string, ReadonlyArray<string>>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "untested-sources.json"), "utf8"),
) as Record<string, string[]>;

/** A condition, a loop, or a choice of values: what can be wrong without a type error. */
const logic = /\b(if|for|while|switch)\s*\(|\?\?|\? .* : |\.(filter|map|reduce|some|every|find|flatMap|toSorted)\(/;

const sourcesWithoutTest = (folder: string): ReadonlyArray<string> =>
  globSync(`src/${folder}/**/*.ts`, { cwd: root })
    .filter((file) => logic.test(readFileSync(join(root, file), "utf8")))
    .map((file) => file.slice(`src/${folder}/`.length))
    .filter(
      (file) => globSync(`test/${folder}/${file.replace(/\.ts$/, "")}.{test,long}.ts`, { cwd: root }).length === 0,
    )
    .toSorted();

describe("tests mirror sources", () => {
  it.each(Object.entries(untested))("in src/%s, but for those on the list", (folder, listed) => {
    const now = sourcesWithoutTest(folder);
    const unlisted = now.filter((file) => !listed.includes(file));
    assert.deepEqual(unlisted, [], `write test/${folder}/<name>.test.ts for these`);
  });
});
