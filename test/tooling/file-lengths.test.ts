import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, it } from "vitest";

const root = join(import.meta.dirname, "../..");
/** A file that is longer has more than one idea. Look again from 300 lines on. */
const mostLines = 350;

it("no source that is written by hand is so long that it must hold more than one idea", () => {
  const sources = globSync("src/**/*.ts", { cwd: root, exclude: ["src/client/gen/**"] });
  assert.isNotEmpty(sources);
  const lines = sources.map((file) => [file, readFileSync(join(root, file), "utf8").split("\n").length - 1] as const);
  assert.deepEqual(
    lines.filter(([, count]) => count > mostLines),
    [],
    `split these into files of one idea each: the limit is ${mostLines} lines`,
  );
});
