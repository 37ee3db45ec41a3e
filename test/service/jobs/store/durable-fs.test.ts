/** How a panic is noticed is in embedded-database.test.ts: after one, PGlite's thread can only be ended. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { DurableFS } from "../../../../src/service/jobs/store/durable-fs.ts";
import { errorOf } from "../../../support/error-of.ts";

/** Only what hangs takes as long: to make a database takes seconds of a processor. */
describe("the file system of the embedded Postgres", { timeout: 600_000 }, () => {
  const ends: unknown[] = [];
  let directory: string;
  let files: DurableFS;
  let pglite: PGlite;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-files-"));
    files = new DurableFS(join(directory, "data"), (error) => ends.push(error));
    // Flushing is not off, and by the one call that there is, as in embedded-worker.ts.
    const flushing = PGlite.defaultStartParams.filter((param) => param !== "-F");
    const startParams = [...flushing, "-c", "wal_sync_method=fsync"];
    pglite = await PGlite.create({ fs: files, startParams });
    await pglite.exec("CREATE TABLE numbers (n int PRIMARY KEY)");
  });
  afterAll(async () => {
    await pglite.close();
    rmSync(directory, { recursive: true });
  });

  it("is told to flush by a commit, and by nothing that is only read", async () => {
    const before = files.syncs;
    await pglite.query("INSERT INTO numbers VALUES (1)");
    const written = files.syncs;
    assert.isAbove(written, before);
    await pglite.query("SELECT * FROM numbers");
    assert.strictEqual(files.syncs, written);
  });

  it("takes a statement that fails for no end of Postgres", async () => {
    assert.propertyVal(await errorOf(pglite.query("INSERT INTO numbers VALUES (1)")), "code", "23505");
    assert.deepEqual(ends, []);
    assert.deepEqual((await pglite.query("SELECT n FROM numbers")).rows, [{ n: 1 }]);
  });
});
