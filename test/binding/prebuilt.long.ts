/** The addons that are committed are what the sources make. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";

const root = join(import.meta.dirname, "../..");
const out = mkdtempSync(join(tmpdir(), "mlxd-prebuilt-"));
afterAll(() => rmSync(out, { recursive: true }));

const manifest = JSON.parse(readFileSync(join(root, "binding/prebuilt/manifest.json"), "utf8")) as {
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly compiler: string }>>;
};

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

/** The first line of its version; undefined where there is none. */
const compilerHere = (): string | undefined => {
  const { stdout, status } = spawnSync("g++", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.split("\n")[0] : undefined;
};

describe("the addon that is committed", { timeout: 900_000 }, () => {
  it.for(["linux-x64", "darwin-arm64"])("for %s is what is compiled here", (target, context) => {
    if (process.platform !== "linux" || process.arch !== "x64") {
      return context.skip("it is compiled on Linux x64 alone");
    }
    const { sha256: expected, compiler } = manifest.files[`${target}.node`] ?? { sha256: "", compiler: "" };
    const here = target === "linux-x64" ? compilerHere() : compiler;
    if (here === undefined) return context.skip("there is no g++");
    execFileSync(process.execPath, ["scripts/build-binding.ts", "--out", out, target], { cwd: root, stdio: "inherit" });
    if (here !== compiler) return context.skip(`it was compiled with ${compiler}, and here is ${here}: it compiles`);
    assert.strictEqual(sha256(join(out, `${target}.node`)), expected);
  });
});
