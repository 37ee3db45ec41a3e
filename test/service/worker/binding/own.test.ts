import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";

import manifest from "../../../../binding/prebuilt/manifest.json" with { type: "json" };
import { addonName, loadOwn, ownFiles } from "../../../../src/service/worker/binding/own.ts";

const folder = mkdtempSync(join(tmpdir(), "mlxd-own-"));
afterAll(() => rmSync(folder, { recursive: true }));

const onMac = process.platform === "darwin";

/** A folder of libraries as pip writes it, with one library of so many bytes instead of ten. */
const librariesOf = (name: string, package_: string, version: string, bytes: number): string => {
  const libraries = join(folder, name);
  const list = join(libraries, `${package_}-${version}.dist-info`);
  mkdirSync(list, { recursive: true });
  writeFileSync(join(list, "RECORD"), "libmlx.so,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,10\n");
  writeFileSync(join(libraries, "libmlx.so"), "x".repeat(bytes));
  return libraries;
};

describe("mlxd's own binding", () => {
  it("is loaded with MLX's version", () => {
    assert.strictEqual(loadOwn().version, manifest.mlx);
  });

  const cut = join(folder, addonName);
  copyFileSync(ownFiles.addon, cut);
  truncateSync(cut, 1000);
  const package_ = onMac ? "mlx_metal" : "mlx_cpu";
  const missing = new RegExp(`^the libraries of MLX ${manifest.mlx} are not there: scripts/with-mlx fetches them$`);
  it.each([
    ["no addon for this machine", { ...ownFiles, addon: join(folder, "none.node") }, /^mlxd has no binding for \S+$/],
    [
      "an addon that is cut off",
      { ...ownFiles, addon: cut },
      /has 1000 bytes instead of \d+: git checkout binding\/prebuilt/,
    ],
    ["no libraries", { ...ownFiles, libraries: join(folder, "none") }, missing],
    [
      "libraries of another version",
      { ...ownFiles, libraries: librariesOf("other-version", package_, "0.31.0", 10) },
      missing,
    ],
    [
      "libraries of another platform",
      { ...ownFiles, libraries: librariesOf("other-platform", onMac ? "mlx_cpu" : "mlx_metal", manifest.mlx, 10) },
      missing,
    ],
    [
      "a library that is cut off",
      { ...ownFiles, libraries: librariesOf("cut", package_, manifest.mlx, 9) },
      /^libmlx\.so has 9 bytes instead of 10: scripts\/with-mlx fetches them$/,
    ],
  ])("says in a sentence that it cannot be: %s", (_, files, message) => {
    assert.throws(() => loadOwn(files), Error, message);
  });
});
