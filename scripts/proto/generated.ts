// Exits with 1 when src/client/gen is not what `npm run generate` would write.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const generated = "src/client/gen";

const filesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    : [];

mkdirSync(".cache", { recursive: true });
const fresh = mkdtempSync(join(".cache", "generated-"));
try {
  execFileSync("node_modules/.bin/buf", ["generate", "--output", fresh], { stdio: "inherit" });
  const expected = join(fresh, generated);
  const differing = [...new Set([...filesIn(generated), ...filesIn(expected)])].filter((file) => {
    const [ours, theirs] = [join(generated, file), join(expected, file)];
    return !existsSync(ours) || !existsSync(theirs) || !readFileSync(ours).equals(readFileSync(theirs));
  });
  if (differing.length > 0) {
    console.log(`${generated} does not match the .proto files; run: npm run generate`);
    for (const file of differing.toSorted()) console.log(`  ${file}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
