import { assert, describe, it } from "vitest";

import {
  endLine,
  eventLine,
  itemLine,
  jobColumns,
  jobPairs,
  jobRow,
  progressText,
  resultLine,
} from "../../../src/cli/jobs/describe-job.ts";
import { type Job, type JobEvent, type JobResult, MlxdError } from "../../../src/client/node.ts";

const job: Job = {
  jobId: "8b6a2f0e",
  requestId: "nightly",
  state: "in_progress",
  sealed: true,
  counts: { total: 1200, pending: 700, inProgress: 80, completed: 417, failed: 3, cancelled: 0, expired: 0 },
  usage: { promptTokens: 5, cachedPromptTokens: 2, outputTokens: 9 },
  itemBytes: 4096,
  options: { priority: 0, labels: { run: "nightly", day: "1" }, expiresAfterMs: 90_000 },
  lastSequence: 7,
  createdAt: new Date(0),
  startedAt: undefined,
  finishedAt: undefined,
  expiresAt: undefined,
  deletedAt: undefined,
};

const error = new MlxdError({ code: "ABORTED", reason: "ENGINE_LOST", message: "the engine ended" });

describe("what is printed of a job", () => {
  it("has a cell for each column", () => {
    const row = jobRow(job);
    assert.lengthOf(row, jobColumns.length);
    assert.deepEqual(row.slice(1), [
      "in_progress",
      "417",
      "3",
      "1,200",
      "1970-01-01T00:00:00.000Z",
      "run=nightly day=1",
    ]);
  });

  it("is everything that is known of it, with units", () => {
    const pairs = new Map(jobPairs(job));
    assert.strictEqual(pairs.get("createdAt"), "1970-01-01T00:00:00.000Z");
    assert.strictEqual(pairs.get("expiresAfter"), "1 min 30 s");
    assert.strictEqual(pairs.get("failed"), "3");
    assert.strictEqual(pairs.get("labels"), '{"run":"nightly","day":"1"}');
    assert.isFalse(pairs.has("finishedAt"));
  });

  it("is how far it is, with its rate and the time that is left", () => {
    const first = { done: 400, at: 1_000 };
    const text = progressText(job, first, { done: 420, at: 3_000 });
    assert.match(text, /^\[#+-+\] 420 of 1,200, 3 failed, 10\.0\/s, 1 min 18 s left$/);
    assert.match(progressText(job, first, first), /^\[#+-+\] 400 of 1,200, 3 failed$/);
    const empty = { ...job, counts: { ...job.counts, total: 0, failed: 0 } };
    assert.match(progressText(empty, { done: 0, at: 0 }, { done: 0, at: 1 }), /^\[-+\] 0 of 0$/);
  });

  it("is how it ended", () => {
    assert.strictEqual(
      endLine({ ...job, state: "cancelled" }),
      "the job is cancelled: 417 of 1,200 tasks have a result",
    );
  });

  it("is a line for each item, with why its attempts ended", () => {
    const attempt = { startedAt: undefined, finishedAt: undefined, host: "h" };
    const attempts = [
      { ...attempt, number: 1, error },
      { ...attempt, number: 2, error: undefined },
    ];
    const line = itemLine({ index: 3, itemId: "q3", state: "completed", attempts, retryAt: undefined });
    assert.strictEqual(line, "3  q3  completed  1: the engine ended");
  });

  it.each<[JobEvent, string]>([
    [{ sequence: 1, type: "job", state: "pending", sealed: false }, "1  job pending (open)"],
    [{ sequence: 2, type: "item", index: 0, itemId: "q0", state: "failed" }, "2  task q0 failed"],
    [{ sequence: 3, type: "restarted", attempt: 2 }, "3  starts again with attempt 2"],
  ])("is a line for the event %o", (event, line) => assert.strictEqual(eventLine(event), line));

  it("is an object for each result, with what scripts use most first", () => {
    const common = { cursor: 1, index: 0, itemId: "q0", attempts: 2 };
    const result = { text: "4", finishReason: "stop", usage: job.usage } as unknown as NonNullable<JobResult["result"]>;
    assert.deepEqual(Object.keys(resultLine({ ...common, result })).slice(0, 4), [
      "index",
      "itemId",
      "text",
      "finishReason",
    ]);
    assert.deepEqual(resultLine({ ...common, error }), {
      index: 0,
      itemId: "q0",
      error: { code: "ABORTED", reason: "ENGINE_LOST", message: "the engine ended" },
      attempts: 2,
    });
  });
});
