import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, assert, describe, it } from "vitest";

import { DirectoryLocked, lockDirectory } from "../../../../src/service/jobs/store/directory-lock.ts";

describe("the lock of a directory", () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "mlxd-lock-"))));
  afterEach(() => rmSync(directory, { recursive: true }));

  it("refuses a second one by the process that has it, and lets one in when it is given back", () => {
    const unlock = lockDirectory(directory);
    assert.throws(() => lockDirectory(directory), DirectoryLocked);
    assert.throws(() => lockDirectory(directory), new RegExp(`process ${process.pid} `));
    unlock();
    lockDirectory(directory)();
  });

  it("is taken over from a process that has ended", async () => {
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    writeFileSync(join(directory, "lock"), `${child.pid} 1 ${hostname()} x\n`);
    lockDirectory(directory)();
  });

  it("is taken over where another process has the id by now", () => {
    writeFileSync(join(directory, "lock"), `${process.pid} 1 ${hostname()} x\n`);
    lockDirectory(directory)();
  });

  it("is taken over where it was cut while it was written", () => {
    writeFileSync(join(directory, "lock"), "");
    lockDirectory(directory)();
  });

  it("is left to another machine, of whose processes nothing can be known", () => {
    writeFileSync(join(directory, "lock"), "1 1 another-machine x\n");
    assert.throws(() => lockDirectory(directory), DirectoryLocked);
  });
});
