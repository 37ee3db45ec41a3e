// Exits with 1 when src/client/gen and proto/mlxd.binpb are not what `npm run generate` would write.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const generated = "src/client/gen";
const descriptors = "proto/mlxd.binpb";

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
  const built = join(fresh, "mlxd.binpb");
  execFileSync("node_modules/.bin/buf", ["build", "--as-file-descriptor-set", "-o", built], { stdio: "inherit" });
  if (!readFileSync(built).equals(readFileSync(descriptors))) differing.push(descriptors);
  if (differing.length > 0) {
    console.log("what is generated does not match the .proto files; run: npm run generate");
    for (const file of differing.toSorted()) console.log(`  ${file}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
