/** scripts/with-mlx where MLX's libraries cannot be had, or are the wrong ones: one sentence, and the command runs all the same. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import manifest from "../../binding/prebuilt/manifest.json" with { type: "json" };
import { ownFiles } from "../../src/service/worker/binding/own.ts";

const root = join(import.meta.dirname, "../..");
let checkout = "";

/** What the script needs of a checkout, without libraries. */
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), "mlxd-with-mlx-"));
  for (const path of ["scripts/with-mlx", "binding/prebuilt", "binding/requirements.txt"]) {
    cpSync(join(root, path), join(checkout, path), { recursive: true });
  }
  for (const name of ["wheels", "bin"]) mkdirSync(join(checkout, name));
});
afterEach(() => rmSync(checkout, { recursive: true }));

/** With an empty folder in the place of the package index. */
const run = (env: Readonly<Record<string, string>> = {}) => {
  const { stdout, stderr, status } = spawnSync(join(checkout, "scripts/with-mlx"), ["echo", "it runs"], {
    encoding: "utf8",
    env: {
      ...process.env,
      PATH: [join(checkout, "bin"), join(process.execPath, ".."), process.env["PATH"]].join(":"),
      PIP_CONFIG_FILE: "/dev/null",
      PIP_NO_INDEX: "1",
      PIP_FIND_LINKS: join(checkout, "wheels"),
      MLXD_BINDING: "",
      ...env,
    },
  });
  assert.strictEqual(status, 0, stderr);
  assert.strictEqual(stdout, "it runs\n");
  return stderr;
};

const told = (reason: RegExp) => new RegExp(`mlxd: MLX ${manifest.mlx} is not used, .*: ${reason.source}`);

describe("scripts/with-mlx", () => {
  it("says what to install where there is no pip, and not again the same day", () => {
    writeFileSync(join(checkout, "bin/python3"), "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n", {
      mode: 0o755,
    });
    assert.match(run(), told(/there is no python3 with pip to fetch them \(.*apt install python3-pip/));
    assert.strictEqual(run(), "");
    assert.match(run({ MLXD_BINDING: "own" }), told(/there is no python3 with pip/));
  });

  it("says that pip cannot download them", () => {
    assert.match(run(), told(/pip could not download them/));
    assert.match(readFileSync(join(checkout, `.cache/mlx-${manifest.mlx}.failed`), "utf8"), /pip could not download/);
  });

  it.each([
    ["of another platform", `mlx_cpu-${manifest.mlx}-py3-none-win_arm64.whl`],
    ["of another version", `mlx_cpu-0.1.0-py3-none-any.whl`],
    ["that is not the published one", `mlx_cpu-${manifest.mlx}-py3-none-any.whl`],
  ])("takes no wheel %s", (_, wheel) => {
    writeFileSync(join(checkout, "wheels", wheel), "no wheel");
    writeFileSync(join(checkout, "wheels", wheel.replace("mlx_cpu", "mlx_metal")), "no wheel");
    assert.match(run(), told(/pip could not download them/));
  });

  it("fetches libraries anew that do not load", () => {
    const library = process.platform === "darwin" ? "libmlx.dylib" : "libmlx.so";
    const libraries = join(checkout, `.cache/mlx-${manifest.mlx}`);
    cpSync(ownFiles.libraries, libraries, { recursive: true });
    // The C library stands for an MLX of another version: it loads, and lacks what the addon asks for.
    const other =
      process.platform === "darwin" ? "" : readFileSync("/proc/self/maps", "utf8").match(/\/\S*\/libm\.so\S*/)?.[0];
    if (other) cpSync(other, join(libraries, "mlx/lib", library), { dereference: true });
    else writeFileSync(join(libraries, "mlx/lib", library), "");
    const stderr = run();
    assert.match(stderr, /mlxd: MLX in .cache does not load, it is fetched again: \S+/);
    assert.match(stderr, told(/pip could not download them/));
  });
});
