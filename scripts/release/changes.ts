/** What the changesets make of the version and of CHANGELOG.md, worked out in a copy: nothing of the checkout changes. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Release, run } from "./piece.ts";

export interface Changes {
  readonly version: string;
  /** Its entry in CHANGELOG.md. */
  readonly entry: string;
}

export const changesOf = async ({ root, place }: Pick<Release, "root" | "place">): Promise<Changes> => {
  const copy = join(place, "changes");
  mkdirSync(copy);
  for (const name of [".changeset", "CHANGELOG.md", "package.json"]) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  // What its packages are looked up by.
  writeFileSync(join(copy, "package-lock.json"), "{}");
  for (const [program, ...args] of [
    ["git", "init", "-q"],
    [process.execPath, changesets(root), "version"],
  ]) {
    await run(program ?? "", args, { cwd: copy });
  }
  const left = readdirSync(join(copy, ".changeset")).filter((name) => name.endsWith(".md") && name !== "README.md");
  if (left.length > 0) throw new Error(`changesets were not taken: ${left.join(", ")}`);
  const { version } = JSON.parse(readFileSync(join(copy, "package.json"), "utf8")) as { version: string };
  const text = readFileSync(join(copy, "CHANGELOG.md"), "utf8");
  const entry = new RegExp(`^## ${version.replaceAll(".", "\\.")}\\n(.*?)(?=^## |$(?![\\s\\S]))`, "ms").exec(text)?.[1];
  if (entry === undefined) throw new Error(`CHANGELOG.md would have no entry for ${version}`);
  return { version, entry: entry.trim() };
};

const changesets = (root: string): string => join(root, "node_modules/@changesets/cli/bin.js");
