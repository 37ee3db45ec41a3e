// npm run build:formula -- --url URL: packs dist/mlxd, built for darwin-arm64, into an archive that URL will have, and writes its Homebrew formula.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const usage = "usage: npm run build:formula -- --url https://HOST/FOLDER [--from DIR] [--out DIR]";
const { values } = parseArgs({
  options: { url: { type: "string" }, from: { type: "string" }, out: { type: "string" }, help: { type: "boolean" } },
});
const root = join(import.meta.dirname, "..");
const artefact = values.from ?? join(root, "dist/mlxd");
const out = values.out ?? join(root, "dist");

const fail = (problem: string): never => {
  console.error(`${problem}\n${usage}`);
  process.exit(1);
};

if (values.help === true) console.log(usage);
else {
  const url = values.url?.replace(/\/+$/, "") ?? fail("--url says where the archive will be");
  if (!URL.canParse(url) || !url.startsWith("https://") || /["\\#]/.test(url)) fail(`${url} is no https URL`);
  if (!existsSync(join(artefact, "binding/prebuilt/darwin-arm64.node"))) {
    fail(`there is no mlxd for Macs in ${artefact}: npm run build -- --platform darwin-arm64`);
  }
  const { version } = JSON.parse(readFileSync(join(artefact, "package.json"), "utf8")) as { version: string };
  const archive = `mlxd-${version}-darwin-arm64.tar.gz`;
  mkdirSync(out, { recursive: true });
  execFileSync("tar", ["-czf", join(out, archive), "-C", join(artefact, ".."), artefact.split("/").at(-1) ?? ""]);
  const sha256 = createHash("sha256")
    .update(readFileSync(join(out, archive)))
    .digest("hex");
  const formula = readFileSync(join(root, "deploy/homebrew/mlxd.rb"), "utf8")
    .replace(/^# .*\n/, "")
    .replaceAll("@URL@", url)
    .replaceAll("@ARCHIVE@", archive)
    .replaceAll("@VERSION@", version)
    .replaceAll("@SHA256@", sha256);
  writeFileSync(join(out, "mlxd.rb"), formula);
  console.log(`wrote ${join(out, archive)} and ${join(out, "mlxd.rb")}`);
}
