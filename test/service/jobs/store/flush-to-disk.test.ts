import type * as fs from "node:fs";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest";

import { flush, flushAll } from "../../../../src/service/jobs/store/flush-to-disk.ts";

/** Files that are open, and what was flushed. */
const disk = vi.hoisted(() => ({
  open: new Map<number, string>(),
  flushed: new Array<string>(),
  refuses: undefined as Error | undefined,
}));
vi.mock("node:fs", async (load) => {
  const real = await load<typeof fs>();
  return {
    ...real,
    openSync: (path: string, flags: string) => {
      const file = real.openSync(path, flags);
      disk.open.set(file, path);
      return file;
    },
    fsyncSync: (file: number) => {
      if (disk.refuses !== undefined) throw disk.refuses;
      disk.flushed.push(disk.open.get(file) ?? "");
    },
    closeSync: (file: number) => {
      disk.open.delete(file);
      real.closeSync(file);
    },
  };
});

describe("what is flushed to the disk", () => {
  let directory: string;
  beforeEach(() => {
    disk.flushed.length = 0;
    disk.refuses = undefined;
    directory = mkdtempSync(join(tmpdir(), "mlxd-flush-"));
    mkdirSync(join(directory, "base", "1"), { recursive: true });
    for (const name of ["version", "base/1/table"]) writeFileSync(join(directory, name), "x");
  });
  afterEach(() => {
    assert.isEmpty([...disk.open.values()], "they are closed");
    rmSync(directory, { recursive: true });
  });

  it("is every file and every directory, and last the one that has them all", () => {
    flushAll(directory);
    const flushed = disk.flushed.map((path) => relative(directory, path));
    assert.deepEqual(flushed.toSorted(), ["", "base", "base/1", "base/1/table", "version"]);
    assert.strictEqual(flushed.at(-1), "");
  });

  it("is no directory where the file system has no such thing; any other failure is told", () => {
    disk.refuses = Object.assign(new Error("invalid argument"), { code: "EINVAL" });
    flushAll(directory);
    disk.refuses = Object.assign(new Error("i/o error"), { code: "EIO" });
    assert.throws(() => flush(directory), "i/o error");
    assert.throws(() => flush(join(directory, "none")), "ENOENT");
  });
});
