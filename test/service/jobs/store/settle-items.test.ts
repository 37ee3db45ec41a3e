/** Each item has one outcome, whoever reports what of it, and how often. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { itself } from "../../../../src/service/domain/Caller.ts";
import { defaultJobOptions } from "../../../../src/service/domain/job.ts";
import { readJob } from "../../../../src/service/jobs/store/change-job.ts";
import { cancelJob, deleteJob } from "../../../../src/service/jobs/store/end-job.ts";
import { type OpenStore, openStore } from "../../../../src/service/jobs/store/open-store.ts";
import { outcomesAsFinished } from "../../../../src/service/jobs/store/read-jobs.ts";
import { handBack, type Report, settleItems } from "../../../../src/service/jobs/store/settle-items.ts";
import { createJob } from "../../../../src/service/jobs/store/submit-job.ts";
import { type Host, listLanes, type TakenItem, takeItems } from "../../../../src/service/jobs/store/take-items.ts";

const tenant = "acme";

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
describe("an item that runs", { timeout: 600_000 }, () => {
  let directory: string;
  let store: OpenStore;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-settle-"));
    store = await openStore(directory, (error) => assert.fail(error.message));
  });
  afterAll(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });

  const newHost = (): Host => ({ id: randomUUID(), name: "host" });
  const addJob = async (items: number): Promise<string> => {
    const { job } = await createJob(store.database, store.boss, {
      caller: { ...itself, tenant },
      requestId: randomUUID(),
      items: Array.from({ length: items }, () => ({
        itemId: "",
        model: "demo",
        hash: "",
        task: "{}",
        outcome: undefined,
      })),
      sealed: true,
      options: defaultJobOptions,
      defaults: "",
      fingerprint: {},
    });
    return job.id;
  };
  const take = async (host: Host, jobId: string): Promise<ReadonlyArray<TakenItem>> => {
    const lane = (await listLanes(store.database)).find((each) => each.jobId === jobId);
    return takeItems(store.database, store.boss, host, lane ?? assert.fail("it has no lane"), 64);
  };
  const outcome = (item: TakenItem | undefined, requestId = "first"): Report => {
    const failure = { type: "defect", requestId } as const;
    return { type: "outcome", item: item ?? assert.fail("nothing was taken"), events: [], outcome: failure, failure };
  };
  const settle = (host: Host, ...reports: ReadonlyArray<Report>) =>
    settleItems(store.database, store.boss, host, reports);
  const countsOf = async (jobId: string) => (await readJob(store.database, jobId, tenant)).counts;
  const outcomesOf = async (jobId: string) =>
    (await outcomesAsFinished(store.database, tenant, jobId, 0)).results.map((result) => result.outcome);

  it("is settled once, in one transaction and in a later one", async () => {
    const host = newHost();
    const jobId = await addJob(2);
    const [first, second] = await take(host, jobId);
    assert.deepEqual(await settle(host, outcome(first), outcome(first, "again")), [true, false]);
    assert.deepEqual(await settle(host, outcome(first, "later"), outcome(second)), [false, true]);
    assert.deepInclude(await countsOf(jobId), { total: 2, failed: 2, inProgress: 0 });
    assert.deepEqual(await outcomesOf(jobId), [
      { type: "defect", requestId: "first" },
      { type: "defect", requestId: "first" },
    ]);
  });

  it("is settled by the host and the attempt that have it, and by no other", async () => {
    const [lost, next] = [newHost(), newHost()];
    const jobId = await addJob(1);
    const [before] = await take(lost, jobId);
    assert.deepEqual(await settle(next, outcome(before, "another host's")), [false]);
    assert.strictEqual(await handBack(store.database, store.boss, { hosts: "all", apart: next.id }), 1);
    assert.deepEqual(await settle(lost, outcome(before, "late")), [false]);
    const [now] = await take(next, jobId);
    assert.deepInclude(now, { attempt: 2, counted: 0 });
    assert.deepEqual(await settle(lost, outcome(before, "later")), [false]);
    assert.deepEqual(await settle(next, outcome(before, "of the first attempt")), [false]);
    assert.deepEqual(await settle(next, outcome(now)), [true]);
    assert.deepEqual(await outcomesOf(jobId), [{ type: "defect", requestId: "first" }]);
  });

  it("is not settled once its job is over, or no longer there; others in the same transaction are", async () => {
    const host = newHost();
    const [cancelled, deleted, open] = [await addJob(1), await addJob(1), await addJob(1)];
    const reports = [];
    for (const jobId of [cancelled, deleted, open]) reports.push(outcome((await take(host, jobId))[0]));
    await cancelJob(store.database, tenant, cancelled);
    await deleteJob(store.database, store.boss, tenant, deleted);
    assert.deepEqual(await settle(host, ...reports), [false, false, true]);
    assert.deepInclude(await countsOf(cancelled), { failed: 0, cancelled: 1 });
    assert.deepInclude(await countsOf(open), { failed: 1 });
    const left = await store.database.query("SELECT index FROM mlxd.item WHERE job_id = $1", [deleted]);
    assert.isEmpty(left);
  });
});
