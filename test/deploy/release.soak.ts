/** `npm run release:dry`, whole: what it tells, and what it leaves to be published. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { assert, it } from "vitest";

import about from "../../package.json" with { type: "json" };
import { requireDocker } from "../support/docker.ts";

const root = join(import.meta.dirname, "../..");

it("builds, checks, installs and tries every part, and tells that alone", { timeout: 3_600_000 }, async (context) => {
  await requireDocker(context);
  // Where it fails it tells so on its output.
  const { stdout, stderr } = await promisify(execFile)("npm", ["run", "-s", "release:dry"], { cwd: root }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  assert.strictEqual(stderr, "");
  const lines = stdout.trim().split("\n");
  const names = lines.map((line) => /^passed {3}(changes|artefact|client|\.deb|image)\b/.exec(line)?.[1]);
  assert.deepStrictEqual(names, ["changes", "artefact", "client", ".deb", "image", undefined], stdout);
  assert.include(lines.at(-1), `4 parts of ${about.version} are as they should be`);
  const release = join(root, "dist/release");
  const sums = readFileSync(join(release, "SHA256SUMS"), "utf8").trim().split("\n");
  assert.lengthOf(sums, 3, "of the files; the image has its own");
  for (const line of sums) {
    const [sum, name = ""] = line.split("  ");
    const digest = createHash("sha256")
      .update(readFileSync(join(release, name)))
      .digest("hex");
    assert.strictEqual(digest, sum, name);
  }
  assert.isNotEmpty(readFileSync(join(release, "CHANGES.md"), "utf8").trim());
});
