import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { deleteQueue } from "../../../../src/service/jobs/store/delete-queue.ts";
import { openStore } from "../../../../src/service/jobs/store/open-store.ts";
import { errorOf } from "../../../support/error-of.ts";

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
describe("a queue", { timeout: 600_000 }, () => {
  it("may be deleted again and at the same time; any other failure is told", async () => {
    const directory = mkdtempSync(join(tmpdir(), "mlxd-queue-"));
    const { database, boss, close } = await openStore(directory, (error) => assert.fail(error.message));
    await boss.createQueue("lane");
    await Promise.all([deleteQueue(boss, "lane"), deleteQueue(boss, "lane")]);
    await deleteQueue(boss, "lane");
    assert.isNull(await boss.getQueue("lane"));
    await boss.createQueue("lane");
    // pg-boss takes one that it cannot look up for one that is gone: this one it knows.
    await boss.insert("lane", [{ data: {} }]);
    await database.query("ALTER TABLE pgboss.queue RENAME TO noqueue");
    assert.propertyVal(await errorOf(deleteQueue(boss, "lane")), "code", "42P01");
    await close();
    rmSync(directory, { recursive: true });
  });
});
