/** How jobs are made and added to, through the real router. */
import { randomUUID } from "node:crypto";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { assert, it } from "vitest";

import { JobState } from "../../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import type { GenerationTask } from "../../../../src/service/domain/generation-task.ts";
import { assertMatches } from "../../../support/assert-matches.ts";
import { containing, describeInStores, echo, failure, item, items } from "../../../support/jobs-in-stores.ts";
import { promptOf } from "../../../support/scripted-generations.ts";

describeInStores("the submission of jobs", (jobs) => {
  const { createJob, results, job } = jobs;

  it("gives the same job for the same request, and refuses another content by what differs", async () => {
    const request = { requestId: randomUUID(), items: items(2), options: { labels: { run: "1" } } };
    const [first, second] = await Promise.all([jobs.client.createJob(request), jobs.client.createJob(request)]);
    assert.strictEqual(first.job?.jobId, second.job?.jobId);
    assert.lengthOf(
      [first, second].filter(({ created }) => created),
      1,
    );
    assertMatches(await failure(jobs.client.createJob({ ...request, items: items(3) })), {
      code: "AlreadyExists",
      rawMessage: containing("items"),
    });
    assertMatches(await failure(jobs.client.createJob({ ...request, options: { maxAttempts: 5 } })), {
      code: "AlreadyExists",
      rawMessage: /options\.maxAttempts.*options\.labels/,
    });
  });

  it("takes items by pieces: a repeated one is harmless, a gap and an addition after the seal are refused", async () => {
    const jobId = await createJob({ open: true });
    const append = (offset: number, count: number, more: { readonly seal?: boolean } = {}) =>
      jobs.client.appendJobItems({ jobId, offset, items: items(offset + count).slice(offset), ...more });
    assertMatches(await append(0, 3), { nextOffset: 3 });
    assertMatches(await append(0, 3), { nextOffset: 3 });
    assertMatches(await append(2, 3), { nextOffset: 5 });
    assertMatches(await failure(append(6, 1)), {
      code: "OutOfRange",
      rawMessage: containing("go on at offset 5"),
    });
    const twice = await Promise.all([append(5, 4), append(5, 4)]);
    assert.deepEqual(
      twice.map(({ nextOffset }) => nextOffset),
      [9, 9],
    );
    assertMatches(await failure(jobs.client.appendJobItems({ jobId, offset: 8, items: [item("something else")] })), {
      code: "AlreadyExists",
    });
    assertMatches(
      await failure(jobs.client.appendJobItems({ jobId, offset: 8, items: [...items(9).slice(8), item("", "q0")] })),
      {
        code: "InvalidArgument",
        rawMessage: containing(`items[1].item_id: "q0"`),
      },
    );
    assertMatches(await failure(jobs.client.sealJob({ jobId, total: 10 })), { code: "OutOfRange" });
    assertMatches(await jobs.client.sealJob({ jobId, total: 9 }), { job: { sealed: true } });
    assertMatches(await append(5, 4), { nextOffset: 9 });
    assert.lengthOf(await results(jobId), 9);
    assertMatches(await failure(append(9, 1)), { code: "FailedPrecondition" });
    assertMatches(await jobs.client.sealJob({ jobId }), { job: { state: JobState.COMPLETED } });
  });

  it("fails an item that is invalid, and runs the others", async () => {
    const bad = { task: { input: { case: "prompt", value: "x" } as const, sampling: { temperature: 7 } } };
    const jobId = await createJob({ items: [item("a"), bad, {}, item("b")] });
    const all = await results(jobId);
    assert.deepEqual(
      all.map((each) => each.item?.outcome.case),
      ["result", "error", "error", "result"],
    );
    assert.deepEqual(
      all.map(({ attempts }) => attempts),
      [1, 0, 0, 1],
    );
    assertMatches(all[1]?.item?.outcome.value, {
      code: Code.InvalidArgument,
      message: containing("task.sampling.temperature"),
    });
    assertMatches(await job(jobId), { state: JobState.COMPLETED, counts: { completed: 2, failed: 2 } });
  });

  it("is failed where no item has a result, also where none was fit to start", async () => {
    const jobId = await createJob({ items: [{}, {}] });
    assertMatches(await job(jobId), { state: JobState.FAILED, counts: { failed: 2 } });
  });

  it("fills in what an item does not say from the defaults, also in pieces that come later", async () => {
    const seen: GenerationTask[] = [];
    jobs.script = (task) => {
      seen.push(task);
      return echo(task);
    };
    const defaults = { sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 9 } };
    const jobId = await createJob({ open: true, items: [item("a")], options: { defaults } });
    const own = { task: { input: { case: "prompt", value: "b" } as const, stop: { maxOutputTokens: 3 } } };
    await jobs.client.appendJobItems({ jobId, offset: 1, items: [own], seal: true });
    await results(jobId);
    const by = (text: string) => seen.find((task) => promptOf(task) === text);
    assertMatches(by("a"), { sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 9 } });
    assertMatches(by("b"), { sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 3 } });
    const withInput = { defaults: { input: { case: "prompt", value: "x" } as const } };
    assertMatches(await failure(createJob({ items: items(1), options: withInput })), {
      code: "InvalidArgument",
    });
    const outOfBounds = { defaults: { sampling: { temperature: 9 } } };
    assertMatches(await failure(createJob({ items: items(1), options: outOfBounds })), {
      rawMessage: containing("options.defaults.sampling.temperature"),
    });
  });

  it.each([
    ["no item", { items: [] }, "items"],
    ["two items of one id", { items: [item("a", "x"), item("b", "x")] }, "items[1].item_id"],
    ["a blank request id", { requestId: " \n", items: [{}] }, "request_id: it is blank"],
    ["no request id", { requestId: "", items: [{}] }, "request_id"],
    ["eleven attempts", { items: [{}], options: { maxAttempts: 11 } }, "options.max_attempts"],
    ["no attempt", { items: [{}], options: { maxAttempts: 0 } }, "options.max_attempts"],
    ["a retention of a minute", { items: [{}], options: { retention: durationFromMs(60_000) } }, "options.retention"],
    ["a NUL in an id", { requestId: "a\0b", items: [{}] }, "request_id"],
    ["a NUL in an item's id", { items: [{ itemId: "\0" }] }, "items[0].item_id"],
  ])("refuses %s by its field", async (_, request, field) => {
    assertMatches(await failure(jobs.client.createJob({ requestId: randomUUID(), ...request })), {
      code: "InvalidArgument",
      rawMessage: containing(field),
    });
  });
});
