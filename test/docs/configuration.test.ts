import { readdirSync, readFileSync } from "node:fs";
import { assert, describe, it } from "@effect/vitest";

const root = new URL("../../", import.meta.url);
const names = (text: string): ReadonlyArray<string> => [...new Set(text.match(/\bMLXD_[A-Z_]+\b/g))].toSorted();

describe("docs/configuration.md", () => {
  it("lists exactly the variables that the service reads", () => {
    const folder = new URL("src/service/config/", root);
    const sources = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));
    const documented = readFileSync(new URL("docs/configuration.md", root), "utf8");
    assert.deepStrictEqual(names(documented), names(sources.join("\n")));
  });
});
