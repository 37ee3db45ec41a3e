import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";

import manifest from "../../../../binding/prebuilt/manifest.json" with { type: "json" };
import { fileStates } from "../../../../src/service/worker/binding/file-states.ts";
import { addonName, ownFiles } from "../../../../src/service/worker/binding/own.ts";

const folder = mkdtempSync(join(tmpdir(), "mlxd-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the files of mlxd's own binding", () => {
  it("are the published ones here, as far as they are here", () => {
    for (const { name, isPublished } of fileStates()) assert.isTrue(isPublished, name);
  });

  it("are not where a byte is another one, or one is missing", () => {
    const addon = join(folder, addonName);
    copyFileSync(ownFiles.addon, addon);
    const libraries = join(folder, "libraries");
    const package_ = process.platform === "darwin" ? "mlx_metal" : "mlx_cpu";
    const list = join(libraries, `${package_}-${manifest.mlx}.dist-info`);
    mkdirSync(list, { recursive: true });
    // Of an empty file.
    const empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    const record = ["libmlx.so", "mlx.metallib", "libgone.so"].map((name) => `${name},sha256=${empty},0\n`);
    writeFileSync(join(list, "RECORD"), record.join(""));
    writeFileSync(join(libraries, "libmlx.so"), "");
    writeFileSync(join(libraries, "mlx.metallib"), "x");
    const published = () => fileStates({ addon, libraries }).map(({ name, isPublished }) => [name, isPublished]);
    const libraryStates = [
      ["libmlx.so", true],
      ["mlx.metallib", false],
      ["libgone.so", false],
    ];
    assert.deepEqual(published(), [[addonName, true], ...libraryStates]);
    appendFileSync(addon, "x");
    assert.deepEqual(published(), [[addonName, false], ...libraryStates]);
  });
});
