import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, assert, describe, it } from "vitest";

import { DirectoryLocked, lockDirectory } from "../../../../src/service/jobs/store/directory-lock.ts";
import { errorOf } from "../../../support/error-of.ts";

describe("the lock of a directory", () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "mlxd-lock-"))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const times = { touchMs: 20, silentMs: 400 };
  const fail = (): void => assert.fail("the lock was lost");
  const lock = (onLost = fail) => lockDirectory(directory, onLost, times);
  const path = () => join(directory, "lock");
  /** Of a process of this machine, as the lock's own file names it. */
  const leave = async (pid: number | undefined, started: string): Promise<void> => {
    const unlock = await lock();
    const [, , ...rest] = readFileSync(path(), "utf8").split(" ");
    unlock();
    writeFileSync(path(), [pid, started, ...rest].join(" "));
  };

  it("refuses a second one by the process that has it, and lets one in when it is given back", async () => {
    const unlock = await lock();
    const error = await errorOf(lock());
    assert.instanceOf(error, DirectoryLocked);
    assert.include(error.message, `process ${process.pid} `);
    unlock();
    (await lock())();
    assert.deepEqual(readdirSync(directory), []);
  });

  it("is given to one of many who ask at once", async () => {
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lock()));
    const given = asked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    for (const unlock of given) unlock();
    assert.lengthOf(given, 1);
  });

  it("is taken over from a process that has ended", async () => {
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    await leave(child.pid, "1");
    (await lock())();
  });

  it("is taken over where another process has the id by now", async () => {
    await leave(process.pid, "1");
    (await lock())();
  });

  it("is taken over where its text was lost, as by a power failure", async () => {
    writeFileSync(path(), "");
    (await lock())();
  });

  it("is left to a process that cannot be looked up as long as that one touches it", async () => {
    writeFileSync(path(), "1 1 elsewhere another-machine x\n");
    const touching = setInterval(() => utimesSync(path(), new Date(), new Date()), 20);
    try {
      const error = await errorOf(lock());
      assert.instanceOf(error, DirectoryLocked);
      assert.include(error.message, "process 1 of host another-machine");
    } finally {
      clearInterval(touching);
    }
    (await lock())();
  });

  it("is missed by an owner who stood still while another process took it over", async () => {
    let onLost = (): void => {};
    const lost = new Promise<void>((resolve) => (onLost = resolve));
    await lock(onLost);
    writeFileSync(path(), "1 1 elsewhere another-machine x\n");
    await lost;
  });

  it("is given up by an owner who cannot read it for so long that another process may have it", async () => {
    let onLost = (): void => {};
    const lost = new Promise<void>((resolve) => (onLost = resolve));
    const unlock = await lock(onLost);
    rmSync(path());
    mkdirSync(path());
    await lost;
    rmSync(path(), { recursive: true });
    unlock();
  });
});
