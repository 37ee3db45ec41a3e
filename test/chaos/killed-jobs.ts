/** Jobs whose services are killed at random moments, and what has to hold of them in the end. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "vitest";

import {
  type BatchItem,
  createMlxdClient,
  type JobEvent,
  type JobItem,
  type JobResult,
} from "../../src/client/node.ts";
import type { RunningService } from "../support/running-service.ts";
import { createRandom } from "../support/create-random.ts";

/** Tasks of different lengths that sample what they say, each with a seed of its own. @param from seed of the first */
export const seededTasks = (from: number, count: number): ReadonlyArray<BatchItem> =>
  Array.from({ length: count }, (_, offset) => {
    const seed = from + offset;
    return {
      itemId: `task ${seed}`,
      input: `What is ${seed % 10}+${(seed * 7) % 10}?`,
      temperature: 1.5,
      seed,
      maxOutputTokens: 8 + (seed % 5) * 16,
    };
  });

/** Ends it as a crash does; its engines end with it. */
export const kill = async ({ process: child }: RunningService): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
};

const random = createRandom(1);

/** A while, so that a kill comes at any moment of what runs; the same ones in each run, in milliseconds. */
export const aWhile = (leastMs: number, mostMs: number): Promise<void> => sleep(leastMs + random(mostMs - leastMs));

/** A job that is asked for until the service says that it has it, by whichever host there is then. */
export interface AskedJob {
  readonly requestId: string;
  readonly tasks: ReadonlyArray<BatchItem>;
}

/** Asks once and does not wait for the answer: the kill may come first. Gives back what ends the asking. */
export const askFor = ({ requestId, tasks }: AskedJob, url: string): (() => Promise<void>) => {
  const client = createMlxdClient({ baseUrl: url });
  const leaving = new AbortController();
  const asked = client.jobs.create(tasks, { requestId, signal: leaving.signal }).then(
    () => {},
    () => {},
  );
  return async () => {
    leaving.abort();
    await asked;
    client.close();
  };
};

/** Waits until the first item of the job runs. */
export const untilStarted = async ({ requestId, tasks }: AskedJob, url: string): Promise<void> => {
  using client = createMlxdClient({ baseUrl: url });
  const { jobId } = await client.jobs.create(tasks, { requestId });
  while ((await client.jobs.get(jobId)).startedAt === undefined) await sleep(10);
};

/** What a job came to. */
interface WholeJob {
  readonly results: ReadonlyArray<JobResult>;
  readonly items: ReadonlyArray<JobItem>;
  readonly events: ReadonlyArray<JobEvent>;
}

export interface Told {
  /** Attempts that were lost with what ran them, and made again. */
  readonly lost: number;
  /** Lives of services that ran an item. */
  readonly lives: number;
}

/**
 * Every item of these jobs has exactly one outcome, told once and in whole; it says what an undisturbed run says; and what is
 * told of its attempts is true.
 */
export const assertExactlyOnce = async (url: string, jobs: ReadonlyArray<AskedJob>): Promise<Told> => {
  using client = createMlxdClient({ baseUrl: url });
  const hosts = new Set<string>();
  let lost = 0;
  for (const { requestId, tasks } of jobs) {
    const { jobId } = await client.jobs.create(tasks, { requestId });
    const whole = await readWhole(client, jobId);
    assertWhole(whole, tasks, await undisturbed(client, tasks));
    for (const { attempts } of whole.items) {
      lost += attempts.length - 1;
      for (const { host } of attempts) hosts.add(host);
    }
  }
  return { lost, lives: hosts.size };
};

type Client = ReturnType<typeof createMlxdClient>;

const readWhole = async (client: Client, jobId: string): Promise<WholeJob> => {
  const [results, items, events]: [JobResult[], JobItem[], JobEvent[]] = [[], [], []];
  for await (const result of client.jobs.results(jobId)) results.push(result);
  for await (const item of client.jobs.items(jobId)) items.push(item);
  for await (const event of client.jobs.watch(jobId)) events.push(event);
  return { results, items, events };
};

/** What the same tasks say as interactive calls. */
const undisturbed = async (client: Client, tasks: ReadonlyArray<BatchItem>): Promise<ReadonlyArray<string>> => {
  const { items } = await client.batch([...tasks], { parallel: true }).collect();
  return items.map(({ result, error }) => result?.text ?? error?.message ?? "");
};

/** What an attempt is told to have ended with where a host, its engine or the store went away. */
const lostWith = /^(HOST_LOST|ENGINE_LOST|DRAINING|SHUT_DOWN|ENGINE_RESTARTING|ENGINE_START_FAILED)$/;

const assertWhole = (
  { results, items, events }: WholeJob,
  tasks: ReadonlyArray<BatchItem>,
  texts: ReadonlyArray<string>,
): void => {
  assert.deepEqual(
    results.map(({ index }) => index),
    tasks.map((_, index) => index),
  );
  assert.deepEqual(
    results.map(({ result, error }) => result?.text ?? error?.message),
    [...texts],
  );
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    events.map((_, index) => index + 1),
  );
  const finished = events.flatMap((event) => (event.type === "item" ? [event.index] : []));
  assert.deepEqual(
    finished.toSorted((a, b) => a - b),
    tasks.map((_, index) => index),
  );
  for (const { index, state, attempts } of items) {
    assert.strictEqual(state, "completed");
    assert.deepEqual(
      attempts.map(({ number }) => number),
      attempts.map((_, at) => at + 1),
    );
    assert.strictEqual(attempts.length, results[index]?.attempts);
    assert.isUndefined(attempts.at(-1)?.error);
    for (const { error, finishedAt } of attempts.slice(0, -1)) {
      assert.instanceOf(finishedAt, Date);
      assert.match(error?.reason ?? "", lostWith);
    }
  }
};
