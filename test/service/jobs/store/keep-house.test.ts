import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { itself } from "../../../../src/service/domain/Caller.ts";
import { JobNotFound } from "../../../../src/service/domain/errors.ts";
import { defaultJobOptions } from "../../../../src/service/domain/job.ts";
import { readJob } from "../../../../src/service/jobs/store/change-job.ts";
import type { Database } from "../../../../src/service/jobs/store/Database.ts";
import { endLongWaits, keepHouse } from "../../../../src/service/jobs/store/keep-house.ts";
import { type OpenStore, openStore } from "../../../../src/service/jobs/store/open-store.ts";
import { createJob, type NewJob } from "../../../../src/service/jobs/store/submit-job.ts";
import { errorOf } from "../../../support/error-of.ts";

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
describe("the housekeeping", { timeout: 600_000 }, () => {
  let directory: string;
  let store: OpenStore;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-house-"));
    store = await openStore(directory, (error) => assert.fail(error.message));
  });
  afterAll(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });

  const addJob = async ({ expiresAfterMs = 60_000 } = {}): Promise<string> => {
    const asked: NewJob = {
      caller: { ...itself, tenant: "acme" },
      requestId: randomUUID(),
      items: [{ itemId: "", model: "demo", hash: "", task: "{}", outcome: undefined }],
      sealed: true,
      options: { ...defaultJobOptions, expiresAfterMs },
      defaults: "",
      fingerprint: {},
    };
    const { job } = await createJob(store.database, store.boss, asked);
    return job.id;
  };
  const stateOf = async (jobId: string) => (await readJob(store.database, jobId, "acme")).state;
  const countOf = async (what: string, jobId: string) => {
    const [row] = await store.database.query(`SELECT count(*)::int AS count FROM ${what} WHERE job_id = $1`, [jobId]);
    return row?.["count"];
  };

  it("ends waits that are longer than any backoff, as a clock that was set back leaves them", async () => {
    const { database, boss } = store;
    await boss.createQueue("lane");
    const after = (ms: number) => new Date(Date.now() + ms);
    await boss.insert("lane", [
      { data: { wait: "set back" }, startAfter: after(3_600_000) },
      { data: { wait: "backoff" }, startAfter: after(50_000) },
    ]);
    await endLongWaits(database);
    const fetched = await boss.fetch<{ readonly wait: string }>("lane", { batchSize: 2 });
    assert.deepEqual(
      fetched.map(({ data }) => data.wait),
      ["set back"],
    );
  });

  it("ends jobs whose time is over, and tells which", async () => {
    const [over, open] = [await addJob({ expiresAfterMs: 0 }), await addJob()];
    assert.deepEqual(await keepHouse(store.database, store.boss), [over]);
    assert.deepEqual([await stateOf(over), await stateOf(open)], ["expired", "pending"]);
    assert.deepEqual(await keepHouse(store.database, store.boss), []);
  });

  it("goes on where a job whose time is over is deleted before it is ended", async () => {
    const [gone, over] = [await addJob({ expiresAfterMs: 0 }), await addJob({ expiresAfterMs: 0 })];
    const database: Database = {
      ...store.database,
      transaction: async (work) => {
        await store.database.query("DELETE FROM mlxd.job WHERE id = $1", [gone]);
        return store.database.transaction(work);
      },
    };
    assert.deepEqual(await keepHouse(database, store.boss), [over]);
    assert.strictEqual(await stateOf(over), "expired");
  });

  it("deletes jobs whose retention is over, with all that belongs to them", async () => {
    const [old, recent] = [await addJob({ expiresAfterMs: 0 }), await addJob({ expiresAfterMs: 0 })];
    await keepHouse(store.database, store.boss);
    await store.database.query("UPDATE mlxd.job SET delete_at = now() WHERE id = $1", [old]);
    await keepHouse(store.database, store.boss);
    const tables = ["mlxd.lane", "mlxd.item", "mlxd.event"];
    assert.deepEqual(await Promise.all(tables.map((table) => countOf(table, old))), [0, 0, 0]);
    assert.instanceOf(await errorOf(stateOf(old)), JobNotFound);
    assert.strictEqual(await stateOf(recent), "expired");
    assert.strictEqual(await countOf("mlxd.item", recent), 1);
  });
});
