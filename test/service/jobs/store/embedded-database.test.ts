import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest";

import { openEmbedded } from "../../../../src/service/jobs/store/embedded-database.ts";
import { errorOf } from "../../../support/error-of.ts";

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
describe("an embedded database", { timeout: 600_000 }, () => {
  let made: string;
  beforeAll(async () => {
    made = mkdtempSync(join(tmpdir(), "mlxd-embedded-"));
    const database = await openEmbedded(made);
    await database.query("CREATE TABLE numbers (n int PRIMARY KEY)");
    await database.close();
  });
  afterAll(() => rmSync(made, { recursive: true }));

  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-embedded-"));
    cpSync(made, directory, { recursive: true });
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const numbers = async ({ query }: Awaited<ReturnType<typeof openEmbedded>>) =>
    (await query("SELECT n FROM numbers ORDER BY n")).map(({ n }) => n);

  it("goes on after a statement that fails, and rolls back the transaction that it was part of", async () => {
    const database = await openEmbedded(directory);
    await database.query("INSERT INTO numbers VALUES (1)");
    const failing = database.transaction(async ({ query }) => {
      await query("INSERT INTO numbers VALUES ($1)", [2]);
      await query("INSERT INTO numbers VALUES ($1)", [1]);
    });
    assert.propertyVal(await errorOf(failing), "code", "23505");
    assert.isFalse(database.isLost());
    assert.deepEqual(await numbers(database), [1]);
    await database.close();
  });

  it("is left in no transaction that a text of several statements began and failed in", async () => {
    const database = await openEmbedded(directory);
    const failing = database.query("BEGIN; INSERT INTO numbers VALUES (1); SELECT 1 / 0; COMMIT");
    const next = database.query("INSERT INTO numbers VALUES (2)");
    assert.propertyVal(await errorOf(failing), "code", "22012");
    await next;
    await database.transaction(({ query }) => query("INSERT INTO numbers VALUES (3)"));
    assert.deepEqual(await numbers(database), [2, 3]);
    await database.close();
  });

  it("that panics says so instead of never, and has what it committed when it is opened again", async () => {
    const database = await openEmbedded(directory);
    await database.query("INSERT INTO numbers VALUES (1)");
    const log = join(directory, "data", "pg_wal");
    // As on a full disk, the next file of its log cannot be made.
    renameSync(log, `${log}-away`);
    const write = async (): Promise<void> => {
      await database.query("SELECT pg_switch_wal()");
      await database.query("INSERT INTO numbers VALUES (2)");
    };
    const error = await errorOf(write());
    assert.match(error.message, /could not (create|open) file/);
    assert.isTrue(database.isLost());
    assert.strictEqual(await errorOf(database.query("SELECT 1")), error);
    await database.close();
    renameSync(`${log}-away`, log);
    const again = await openEmbedded(directory);
    assert.deepEqual(await numbers(again), [1]);
    await again.close();
  });

  it("that was not made to the end is made anew", async () => {
    rmSync(join(directory, "data", "global"), { recursive: true });
    await errorOf(openEmbedded(directory));
    writeFileSync(join(directory, "data.unfinished"), "");
    const again = await openEmbedded(directory);
    await again.query("CREATE TABLE numbers (n int)");
    assert.deepEqual(await numbers(again), []);
    await again.close();
  });
});
