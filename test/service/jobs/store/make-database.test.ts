import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { EmbeddedFailure } from "../../../../src/service/jobs/store/embedded-protocol.ts";
import { makeDatabase, makeInProcess } from "../../../../src/service/jobs/store/make-database.ts";
import { errorOf } from "../../../support/error-of.ts";

describe("the making of a database", () => {
  let parent: string;
  let directory: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "mlxd-making-"));
    directory = join(parent, "data");
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const put = (database: string, name: string): void => {
    mkdirSync(join(database, "base"), { recursive: true });
    writeFileSync(join(database, "base", name), "x");
  };
  const putting = (name: string) => (database: string) => Promise.resolve(put(database, name));

  it("leaves the database, and nothing else, once it is done", async () => {
    await makeDatabase(directory, (database) => {
      assert.isFalse(existsSync(directory));
      return putting("1")(database);
    });
    assert.deepEqual(readdirSync(parent), ["data"]);
    assert.deepEqual(readdirSync(join(directory, "base")), ["1"]);
  });

  it("leaves nothing where it fails, and tells what it failed with", async () => {
    const full = new Error("its disk is full");
    const failing = makeDatabase(directory, async (database) => {
      await putting("half")(database);
      throw full;
    });
    assert.strictEqual(await errorOf(failing), full);
    assert.deepEqual(readdirSync(parent), []);
  });

  it("starts from nothing where an earlier one was cut short, also by an earlier version", async () => {
    put(join(parent, "data.1234.unfinished"), "half");
    put(directory, "half");
    writeFileSync(join(parent, "data.unfinished"), "");
    await makeDatabase(directory, putting("1"));
    assert.deepEqual(readdirSync(parent), ["data"]);
    assert.deepEqual(readdirSync(join(directory, "base")), ["1"]);
  });

  it("leaves a database that was made, and files that are somebody else's", async () => {
    put(directory, "1");
    writeFileSync(join(parent, "lock"), "");
    await makeDatabase(directory, () => assert.fail("there is one"));
    assert.deepEqual(readdirSync(join(directory, "base")), ["1"]);
    assert.deepEqual(readdirSync(parent).toSorted(), ["data", "lock"]);
  });

  it("takes nothing from another process that has made one meanwhile", async () => {
    const late = makeDatabase(directory, (database) => {
      put(directory, "other");
      return putting("1")(database);
    });
    assert.propertyVal(await errorOf(late), "code", "ENOTEMPTY");
    assert.deepEqual(readdirSync(join(directory, "base")), ["other"]);
    assert.deepEqual(readdirSync(parent), ["data"]);
  });
});

/** Only what hangs takes as long. */
describe("the process that makes a database", { timeout: 600_000 }, () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "mlxd-maker-"))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const run = (program: string): Promise<void> => {
    const path = join(directory, "program.mjs");
    writeFileSync(path, program);
    return makeInProcess(join(directory, "data"), path);
  };

  it("is told where, and waited for", async () => {
    await run(`import { mkdirSync } from "node:fs"; setTimeout(() => mkdirSync(process.argv[2]), 100);`);
    assert.isTrue(existsSync(join(directory, "data")));
  });

  it("is ended once it has told what it fails with, also where it would never end", async () => {
    const error = await errorOf(run(`process.send({ message: "no space", code: "ENOSPC" }); for (;;);`));
    assert.instanceOf(error, EmbeddedFailure);
    assert.deepInclude(error, { message: "no space", code: "ENOSPC" });
  });

  it.each([
    ["ends without a word", "process.exit(3)", "its maker ended with exit code 3"],
    ["is killed", `process.kill(process.pid, "SIGKILL")`, "its maker ended with signal SIGKILL"],
  ])("that %s has failed", async (_, program, told) => {
    const error = await errorOf(run(program));
    assert.instanceOf(error, EmbeddedFailure);
    assert.strictEqual(error.message, told);
  });
});
