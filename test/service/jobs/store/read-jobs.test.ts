/** What is read of jobs, through the real router. */
import { randomUUID } from "node:crypto";
import { Deferred, Effect, Stream } from "effect";
import { assert, it } from "vitest";

import { JobState, StreamJobResultsRequest_Order as Order } from "../../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { assertMatches } from "../../../support/assert-matches.ts";
import { collect } from "../../../support/collect.ts";
import { describeInStores, failure, item, items, textOf } from "../../../support/jobs-in-stores.ts";
import { eventsOf } from "../../../support/scripted-generations.ts";

describeInStores("the reading of jobs", (jobs) => {
  const { createJob, results } = jobs;

  it("resumes results after any cursor, in both orders", async () => {
    const jobId = await createJob({ items: items(7) });
    for (const order of [Order.INDEX, Order.FINISHED]) {
      const all = await results(jobId, order);
      for (const [at, { cursor }] of all.entries()) {
        assert.deepEqual(await results(jobId, order, cursor), all.slice(at + 1));
      }
      assertMatches(await failure(results(jobId, order, 10_000)), { code: "OutOfRange" });
    }
  });

  it("tells a watcher every event once, from any sequence on", async () => {
    const jobId = await createJob({ items: items(5) });
    const all = await collect(jobs.client.watchJob({ jobId }));
    assert.deepEqual(
      all.map(({ sequence }) => sequence),
      all.map((_, index) => index + 1),
    );
    assert.lengthOf(
      all.filter(({ event }) => event.case === "item"),
      5,
    );
    assertMatches(all.at(0)?.event, { case: "job", value: { state: JobState.PENDING, sealed: true } });
    assertMatches(all.at(-1)?.event, { case: "job", value: { state: JobState.COMPLETED } });
    for (const [at, { sequence }] of all.entries()) {
      assert.deepEqual(await collect(jobs.client.watchJob({ jobId, afterSequence: sequence })), all.slice(at + 1));
    }
    assertMatches(await failure(collect(jobs.client.watchJob({ jobId, afterSequence: all.length + 1 }))), {
      code: "OutOfRange",
    });
  });

  it("tells the watchers of one item what its generation says, live, and joins to the result", async () => {
    const go = Deferred.makeUnsafe<void>();
    jobs.script = () =>
      Stream.fromIterable(eventsOf(["Once ", "upon ", "a ", "time 🦊"])).pipe(
        Stream.tap((event) => (event.type === "finished" ? Deferred.await(go) : Effect.void)),
      );
    const jobId = await createJob({ items: [item("tell")] });
    const seen: string[] = [];
    for await (const { event } of jobs.client.watchJob({ jobId })) {
      if (event.case !== "generation") continue;
      const { event: inner, sequence } = event.value;
      seen.push(`${sequence} ${inner.case}`);
      // Nothing has finished yet when all of the text is here.
      if (seen.length === 5) Deferred.doneUnsafe(go, Effect.void);
    }
    assert.deepEqual(seen, ["0 started", "1 chunk", "2 chunk", "3 chunk", "4 chunk", "5 finished"]);
    const all = await collect(jobs.client.watchJob({ jobId }));
    const text = all.map(({ event: { value, case: of } }) =>
      of === "generation" && value.event.case === "chunk" ? value.event.value.text : "",
    );
    assert.strictEqual(text.join(""), textOf((await results(jobId))[0] ?? assert.fail("it has no result")));
  });

  it("lists jobs and items by pages, by state and by label", async () => {
    // As long as labels may be: a token has less room than that.
    const label = randomUUID().padEnd(256, "x");
    const ids = [];
    for (let count = 0; count < 5; count++)
      ids.push(await createJob({ items: items(1), options: { labels: { label } } }));
    for (const id of ids) await results(id);
    const listed: string[] = [];
    for (let pageToken = ""; ;) {
      const page = await jobs.client.listJobs({ labels: { label }, pageSize: 2, pageToken });
      listed.push(...page.jobs.map(({ jobId }) => jobId));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    assert.deepEqual(listed, ids.toReversed());
    assert.deepEqual((await jobs.client.listJobs({ labels: { label }, states: [JobState.PENDING] })).jobs, []);
    assertMatches(await failure(jobs.client.listJobs({ pageToken: "nonsense" })), { code: "InvalidArgument" });
    const jobId = await createJob({ items: items(5) });
    await results(jobId);
    const first = await jobs.client.listJobItems({ jobId, pageSize: 3 });
    const second = await jobs.client.listJobItems({ jobId, pageSize: 3, pageToken: first.nextPageToken });
    assert.deepEqual(
      [...first.items, ...second.items].map(({ index }) => index),
      [0, 1, 2, 3, 4],
    );
    assert.strictEqual(second.nextPageToken, "");
  });
});
