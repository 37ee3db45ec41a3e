/** What the pages have set-up scripts make in the checkout are private keys: neither git nor an image may take them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");
const folders = ["docs/deploy.md", "docs/containers.md"].flatMap((page) =>
  [...read(page).matchAll(/^deploy\/(?:kubernetes\/)?set-up (\w+) /gm)].map(([, folder = ""]) => folder),
);

describe("the folders of keys that the pages make", () => {
  it("are these", () => {
    assert.sameMembers(folders, ["hosts", "config", "cluster"]);
  });

  it.each(folders)("%s is left alone by git and by docker build", (folder) => {
    assert.include(read(".gitignore").split("\n"), `/${folder}/`);
    assert.include(read(".dockerignore").split("\n"), folder);
  });
});
