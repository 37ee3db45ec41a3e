/** How jobs run and end, over a scripted pipeline and through the real router. */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { assert, it, vi } from "vitest";

import { JobState, StreamJobResultsRequest_Order as Order } from "../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { Draining, EngineLost, ModelNotFound, QueueFull } from "../../../src/service/domain/errors.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { collect } from "../../support/collect.ts";
import { describeInStores, echo, failure, item, items, textOf } from "../../support/jobs-in-stores.ts";
import { eventsOf, promptOf } from "../../support/scripted-generations.ts";

describeInStores("the running of jobs", (jobs) => {
  const { createJob, results, job } = jobs;

  it("answers every item once, in order and as they finish", async () => {
    const jobId = await createJob({ items: items(120) });
    const inOrder = await results(jobId);
    assert.deepEqual(
      inOrder.map(textOf),
      items(120).map((_, index) => `You said: question ${index}`),
    );
    assert.deepEqual(
      inOrder.map((each) => each.item?.itemId),
      items(120).map(({ itemId }) => itemId),
    );
    const asFinished = await results(jobId, Order.FINISHED);
    assert.deepEqual(
      asFinished.map((each) => each.item?.index).toSorted((a = 0, b = 0) => a - b),
      items(120).map((_, index) => index),
    );
    assertMatches(await job(jobId), {
      state: JobState.COMPLETED,
      sealed: true,
      counts: { total: 120, completed: 120, pending: 0, inProgress: 0, failed: 0 },
      usage: { outputTokens: 240 },
    });
  });

  it("tries again what may be mended, with the same seed, and tells each attempt", async () => {
    const seeds: unknown[] = [];
    jobs.script = (task) => {
      if (promptOf(task) !== "fragile") return echo(task);
      seeds.push(task.sampling.seed);
      return seeds.length < 2 ? Stream.fail(new EngineLost({ model: "demo" })) : echo(task);
    };
    const jobId = await createJob({ items: [item("fragile"), item("well")] });
    assert.deepEqual(
      (await results(jobId)).map(({ attempts }) => attempts),
      [2, 1],
    );
    assert.strictEqual(new Set(seeds).size, 1);
    const { items: listed } = await jobs.client.listJobItems({ jobId });
    assertMatches(listed[0], {
      state: JobState.COMPLETED,
      attempts: [{ number: 1, error: { code: Code.Aborted } }, { number: 2 }],
    });
    assert.isUndefined(listed[0]?.attempts[1]?.error);
  });

  it("does not try again what is the caller's fault, and no more often than it may", async () => {
    jobs.script = (task) =>
      promptOf(task) === "unknown"
        ? Stream.fail(new ModelNotFound({ model: "no-such", nearest: [] }))
        : Stream.fail(new EngineLost({ model: "demo" }));
    const jobId = await createJob({ items: [item("unknown"), item("lost")], options: { maxAttempts: 2 } });
    const all = await results(jobId);
    assert.deepEqual(
      all.map(({ attempts }) => attempts),
      [1, 2],
    );
    assert.deepEqual(
      all.map((each) => each.item?.outcome.case),
      ["error", "error"],
    );
    assertMatches(await job(jobId), { state: JobState.FAILED });
  });

  it("does not count an attempt against an item where its host drained or was full", async () => {
    const refusals = [new Draining({ retryAfterMs: 1 }), new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1 })];
    jobs.script = (task) => {
      const refusal = refusals.pop();
      return refusal === undefined ? echo(task) : Stream.fail(refusal);
    };
    const jobId = await createJob({ items: [item("patient")], options: { maxAttempts: 1 } });
    const [only] = await results(jobId);
    assert.strictEqual(textOf(only ?? assert.fail("it has no result")), "You said: patient");
    assert.strictEqual(only?.attempts, 3);
  });

  it("cancels a job that runs: what waits never starts, what runs ends, what has finished stays", async () => {
    let begun = 0;
    let ended = 0;
    jobs.script = (task) => {
      if (promptOf(task) === "question 0") return echo(task);
      begun += 1;
      return Stream.never.pipe(Stream.ensuring(Effect.sync(() => (ended += 1))));
    };
    const jobId = await createJob({ items: items(40) });
    await vi.waitFor(async () => assertMatches((await job(jobId))?.counts, { completed: 1, inProgress: 8 }), {
      timeout: 300_000,
    });
    assertMatches(await jobs.client.cancelJob({ jobId }), {
      job: { state: JobState.CANCELLED, counts: { completed: 1, cancelled: 39, inProgress: 0 } },
    });
    await vi.waitFor(() => assert.strictEqual(ended, begun), { timeout: 300_000 });
    const all = await results(jobId);
    assert.deepEqual(
      all.map((each) => each.item?.outcome.case),
      ["result" as const, ...Array.from({ length: 39 }, () => "error" as const)],
    );
    assert.lengthOf(await results(jobId, Order.FINISHED), 40);
    assertMatches(all[1]?.item?.outcome.value, { code: Code.Canceled });
    assert.deepEqual((await jobs.client.cancelJob({ jobId })).job, await job(jobId));
    const { items: cancelled } = await jobs.client.listJobItems({
      jobId,
      states: [JobState.CANCELLED],
      pageSize: 1000,
    });
    assert.lengthOf(cancelled, 39);
    assert.strictEqual(begun, 8);
  });

  it("expires, and what is left has no outcome but that", async () => {
    jobs.script = () => Stream.never;
    const jobId = await createJob({ items: items(3), options: { expiresAfter: durationFromMs(1500) } });
    const all = await results(jobId);
    assertMatches(
      all.map((each) => each.item?.outcome.value),
      items(3).map(() => ({ code: Code.DeadlineExceeded })),
    );
    assertMatches(await job(jobId), { state: JobState.EXPIRED, counts: { expired: 3 } });
  });

  it("goes on after a restart where it was, and so do its watchers", async () => {
    let hold = true;
    jobs.script = (task) => {
      const [started, ...rest] = eventsOf(["The ", "answer ", "is ", "4."]);
      const all = [...(started === undefined ? [] : [started]), ...rest];
      if (!hold || promptOf(task) !== "held") return Stream.fromIterable(all);
      return Stream.concat(Stream.fromIterable(all.slice(0, 3)), Stream.never);
    };
    const jobId = await createJob({ items: [item("held")] });
    const before = [];
    for await (const event of jobs.client.watchJob({ jobId })) {
      before.push(event);
      if (event.event.case === "generation" && event.event.value.sequence === 2) break;
    }
    await jobs.stop();
    hold = false;
    await jobs.start();
    const afterSequence = before.at(-1)?.sequence ?? 0;
    const after = await collect(jobs.client.watchJob({ jobId, afterSequence }));
    const all = [...before, ...after];
    assert.deepEqual(
      all.map(({ sequence }) => sequence),
      all.map((_, index) => index + 1),
    );
    const text = all.map(({ event: { value, case: of } }) =>
      of === "generation" && value.event.case === "chunk" ? value.event.value.text : "",
    );
    assert.strictEqual(text.join(""), "The answer is 4.");
    assert.strictEqual(
      all.some(({ event }) => event.case === "restarted"),
      false,
    );
    assertMatches((await jobs.client.listJobItems({ jobId })).items[0]?.attempts, [
      { number: 1, error: { code: Code.Unavailable } },
      { number: 2 },
    ]);
  });

  it("deletes a job with all that is kept of it, also one that runs", async () => {
    jobs.script = () => Stream.never;
    const jobId = await createJob({ items: items(3) });
    await jobs.client.deleteJob({ jobId });
    for (const call of [
      () => jobs.client.getJob({ jobId }),
      () => jobs.client.deleteJob({ jobId }),
      () => results(jobId),
    ]) {
      assertMatches(await failure(call()), { code: "NotFound" });
    }
    assertMatches(await failure(jobs.client.appendJobItems({ jobId: "no-job", items: items(1) })), {
      code: "NotFound",
    });
  });

  it("may be deleted by several calls at once", async () => {
    const jobId = await createJob({ items: items(3) });
    const calls = Array.from({ length: 4 }, () => jobs.client.deleteJob({ jobId }));
    const settled = await Promise.allSettled(calls);
    assert.isTrue(settled.some(({ status }) => status === "fulfilled"));
    for (const call of calls.filter((_, index) => settled[index]?.status === "rejected")) {
      assertMatches(await failure(call), { code: "NotFound" });
    }
  });
});
