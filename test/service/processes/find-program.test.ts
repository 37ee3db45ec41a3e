import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { findProgram } from "../../../src/service/processes/find-program.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-programs-"));
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/tool"), "#!/bin/sh\n");
  chmodSync(join(folder, "bin/tool"), 0o755);
  mkdirSync(join(folder, "bin/folder"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a program", () => {
  it("is found by its path, from a folder on", async () => {
    const path = join(folder, "bin/tool");
    assert.strictEqual(await findProgram(path, "/", undefined), path);
    assert.strictEqual(await findProgram("bin/tool", folder, undefined), path);
    assert.strictEqual(await findProgram("./tool", join(folder, "bin"), ""), path);
  });

  it("is found by its name in PATH alone", async () => {
    const path = ["/nowhere", join(folder, "bin")].join(delimiter);
    assert.strictEqual(await findProgram("tool", "/", path), join(folder, "bin/tool"));
    assert.isUndefined(await findProgram("tool", join(folder, "bin"), "/nowhere"));
    assert.isUndefined(await findProgram("tool", join(folder, "bin"), undefined));
  });

  it("is none where it is a folder or cannot be run", async () => {
    writeFileSync(join(folder, "bin/text"), "");
    chmodSync(join(folder, "bin/text"), 0o644);
    assert.isUndefined(await findProgram(join(folder, "bin/folder"), "/", ""));
    assert.isUndefined(await findProgram(join(folder, "bin/text"), "/", ""));
  });
});
