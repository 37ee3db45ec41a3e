/** W11: what a durable item costs beside a bare queue on the same store, what the store holds, and what interactive calls notice. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { createMlxdClient, type Job, type NodeClient } from "../../src/client/node.ts";
import { startService } from "../../test/support/running-service.ts";
import type { Bench } from "./against-peer.ts";
import type { BenchModel } from "./bench-model.ts";
import { endsWithUs } from "./ends-with-us.ts";
import { digits, median } from "./load.ts";
import { peakBytesDuring, residentBytes } from "./memory.ts";
import { compareNumbers } from "./rounds.ts";
import { toRow } from "./row.ts";
import { startProgram } from "./start-program.ts";

/** Of a round. */
const items = 2_000;
/** What the embedded store may hold in memory, and how long a job of the largest size may take to hand over. */
const [storeBytes, submitSeconds] = [300e6, 10];
const largest = 100_000;

/** Items a second with an engine that costs nothing, and the memory that the store adds. */
export const settledItems: Bench = {
  name: "W11 items",
  run: async () => {
    const directory = mkdtempSync(join(tmpdir(), "mlxd-bench-jobs-"));
    const { child, port } = await startProgram("scripted-service.ts", { MLXD_JOBS_STORE: join(directory, "store") });
    try {
      using client = createMlxdClient({ baseUrl: `http://127.0.0.1:${port}` });
      const pids = () => [child.pid ?? 0];
      // What the pipeline needs for itself is there before the first job.
      await client.batch(Array.from({ length: 100 }, shortTask), { parallel: true }).collect();
      const before = residentBytes(child.pid ?? 0);
      let peak = 0;
      const rows = await compareNumbers({
        workload: "W11",
        metric: "items/s, embedded store",
        ours: async () => {
          let rate = Number.NaN;
          const peakNow = await peakBytesDuring(pids, async () => (rate = await settledPerSecond(client)));
          peak = Math.max(peak, peakNow);
          return rate;
        },
        peer: bareLoop,
        target: { least: 0.8 },
      });
      const seconds = await secondsToSubmit(client);
      return [
        ...rows,
        toRow("W11", "resident MB of the store", (peak - before) / 1e6, storeBytes / 1e6, { most: 1 }),
        toRow("W11", "s to submit 100,000 items", seconds, submitSeconds, { most: 1 }),
      ];
    } finally {
      child.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

const shortTask = (_: unknown, index: number) => ({ input: { prompt: `${index},` }, maxOutputTokens: 1 });

const settledPerSecond = async (client: NodeClient): Promise<number> => {
  const { jobId } = await client.jobs.create(Array.from({ length: items }, shortTask));
  let last = 0;
  for await (const { cursor } of client.jobs.results(jobId)) last = cursor;
  const { startedAt, finishedAt, counts } = await client.jobs.get(jobId);
  if (last !== items || counts.completed !== items || !startedAt || !finishedAt)
    throw new Error("W11: items are missing");
  await client.jobs.delete(jobId);
  return (1000 * items) / (finishedAt.getTime() - startedAt.getTime());
};

const secondsToSubmit = async (client: NodeClient): Promise<number> => {
  const started = performance.now();
  const { jobId } = await client.jobs.create(Array.from({ length: largest }, shortTask), { maxParallel: 1 });
  const seconds = (performance.now() - started) / 1000;
  await client.jobs.delete(jobId);
  return seconds;
};

const bareLoop = async (): Promise<number> => {
  const program = join(import.meta.dirname, "bare-queue.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [program, String(items)]);
  return Number(stdout);
};

/** Calls of one client, one after the other, of a round. */
const calls = 24;

/** The time to the first token of interactive calls, with a full job beside them and without. */
export const beside = (model: BenchModel): Bench => ({
  name: `W11 beside ${model.name}`,
  run: async () => {
    const directory = mkdtempSync(join(tmpdir(), "mlxd-bench-jobs-"));
    const service = await startService({
      MLXD_MODELS: await model.ensure(),
      MLXD_JOBS_STORE: join(directory, "store"),
      MLXD_LOG_LEVEL: "Warn",
      MLXD_SPECULATION: "off",
    });
    endsWithUs(service.process);
    using client = createMlxdClient({ baseUrl: service.url });
    try {
      await firstTokenMs(client, -1);
      return await compareNumbers({
        workload: `W11 ${model.name}`,
        metric: "TTFT p50 ms beside a job",
        ours: async (round) => {
          const { jobId } = await startFullJob(client, round);
          try {
            return await firstTokenMs(client, 2 * round);
          } finally {
            await client.jobs.delete(jobId);
          }
        },
        // Other prompts: none is in the prefix cache.
        peer: (round) => firstTokenMs(client, 2 * round + 1),
        target: { most: 1.5 },
      });
    } finally {
      await service.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
});

/** A job with more than can be worked off meanwhile, whose items run. */
const startFullJob = async (client: NodeClient, round: number): Promise<Job> => {
  const tasks = Array.from({ length: 5_000 }, (_, index) => ({
    input: { prompt: digits(64, 10_000 * (round + 2) + index) },
    maxOutputTokens: 64,
  }));
  const { jobId } = await client.jobs.create(tasks);
  for (;;) {
    const job = await client.jobs.get(jobId);
    if (job.counts.completed >= 16) return job;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const firstTokenMs = async (client: NodeClient, round: number): Promise<number> => {
  const times: number[] = [];
  for (let call = 0; call < calls; call++) {
    const started = performance.now();
    const prompt = digits(64, 1_000 * (round + 2) + call + 7_000_000);
    const stream = client.stream({ prompt }, { maxOutputTokens: 16, temperature: 0 });
    let first = Number.NaN;
    for await (const _ of stream.textDeltas()) if (Number.isNaN(first)) first = performance.now() - started;
    times.push(first);
  }
  return median(times.filter((ms) => !Number.isNaN(ms)));
};
