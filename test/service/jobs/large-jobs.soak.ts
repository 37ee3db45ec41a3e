/** A job of the largest size: handed over, listed and read while the service holds no more memory than with a small one. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type BatchItem, createMlxdClient, MlxdError } from "../../../src/client/node.ts";
import { errorOf } from "../../support/error-of.ts";
import { heldMemory } from "../../support/held-memory.ts";
import { type RunningService, startService } from "../../support/running-service.ts";

const largest = 100_000;

function* tasks(count: number): Generator<BatchItem> {
  for (let index = 0; index < count; index++) yield { itemId: `q${index}`, input: { prompt: `${index},` } };
}

describe("a job of 100,000 items", { timeout: 30 * 60_000 }, () => {
  const memory = heldMemory();
  let service: RunningService;
  let client: ReturnType<typeof createMlxdClient>;
  beforeAll(async () => {
    service = await startService({ ...memory.environment, MLXD_LOG_LEVEL: "Error", MLXD_JOBS_PARALLEL: "1" });
    client = createMlxdClient({ baseUrl: service.url });
  });
  afterAll(async () => {
    client.close();
    await service.stop();
    memory.remove();
  });

  /** The most that the service held when it was asked now and then. @returns how many items were listed */
  const listAll = async (jobId: string): Promise<{ readonly count: number; readonly held: number }> => {
    let [count, held] = [0, 0];
    for await (const { index } of client.jobs.items(jobId)) {
      assert.strictEqual(index, count++);
      if (count % 10_000 === 500) held = Math.max(held, await memory.bytes(service));
    }
    return { count, held };
  };

  it("is listed by pages in the memory of a small one, and is the largest there is", async () => {
    const options = { maxParallel: 1, maxAttempts: 1, defaults: { maxOutputTokens: 1 } };
    const small = await client.jobs.create(tasks(1_000), options);
    const { held: before } = await listAll(small.jobId);
    await client.jobs.delete(small.jobId);
    const started = performance.now();
    const { jobId, counts } = await client.jobs.create(tasks(largest), { ...options, requestId: "large" });
    process.stdout.write(`100,000 items in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
    assert.strictEqual(counts.total, largest);
    const { count, held } = await listAll(jobId);
    assert.strictEqual(count, largest);
    assert.isBelow(held - before, 24 * 1024 ** 2, "what a page needs, and nothing of the other 99 pages");
    await client.jobs.delete(jobId);
    const error = await errorOf(client.jobs.create(tasks(largest + 1), options));
    assert.instanceOf(error, MlxdError);
    assert.strictEqual(error.reason, "JOB_TOO_LARGE");
    assert.include(error.message, "100000");
  });
});
