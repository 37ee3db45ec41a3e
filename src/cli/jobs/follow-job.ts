/** Follows a job to its end: prints results as lines of JSON, and its progress as a bar. */
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import type { Job, JobResult, NodeClient } from "../../client/node.ts";
import { CommandFailed, Interrupted } from "../failures.ts";
import { formatBar, formatCount, formatDuration } from "../format.ts";
import { note, print } from "../print.ts";
import { StatusLine } from "../status-line.ts";

/** How often the bar is updated. */
const lookMs = 1_000;

/** Writes each result to the output, in the order of the items, until the job is over. */
export const followResults = async (
  client: NodeClient,
  jobId: string,
  { output, signal }: { readonly output: string | undefined; readonly signal: AbortSignal },
): Promise<void> => {
  using progress = new JobProgress(client, jobId);
  const file = output === undefined ? undefined : createWriteStream(output);
  let failure: Error | undefined;
  file?.on("error", (error) => (failure = new CommandFailed(`cannot write ${output}: ${error.message}`)));
  try {
    for await (const result of client.jobs.results(jobId, { signal })) {
      if (failure !== undefined) throw failure;
      const line = JSON.stringify(resultLine(result));
      if (file === undefined) {
        progress.clear();
        print(line);
      } else if (!file.write(`${line}\n`)) await Promise.race([once(file, "drain"), once(file, "error")]);
    }
  } catch (error) {
    if (signal.aborted) {
      progress.clear();
      note(`the job continues without this command; to see its results: mlxd jobs results ${jobId}`);
      throw new Interrupted();
    }
    throw error;
  } finally {
    file?.end();
  }
  if (failure !== undefined) throw failure;
};

/** A result as it is printed: the members that scripts use most come first. */
export const resultLine = ({ index, itemId, attempts, result, error }: JobResult): object =>
  error === undefined
    ? { index, itemId, text: result.text, finishReason: result.finishReason, attempts, usage: result.usage, result }
    : { index, itemId, error: { code: error.code, reason: error.reason, message: error.message }, attempts };

/** The progress of a job on a terminal: a bar with the rate and the remaining time. */
export class JobProgress implements Disposable {
  readonly #line = new StatusLine();
  readonly #client: NodeClient;
  readonly #jobId: string;
  readonly #timer: NodeJS.Timeout | undefined;
  #first: { readonly done: number; readonly at: number } | undefined;

  constructor(client: NodeClient, jobId: string) {
    this.#client = client;
    this.#jobId = jobId;
    if (process.stderr.isTTY) this.#timer = setInterval(() => void this.#look(), lookMs).unref();
  }

  clear(): void {
    this.#line.clear();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#line.clear();
  }

  async #look(): Promise<void> {
    // If the service is briefly unavailable, the bar stays as it is.
    const job = await this.#client.jobs.get(this.#jobId).catch(() => undefined);
    if (job === undefined) return;
    const now = { done: doneOf(job), at: performance.now() };
    this.#first ??= now;
    this.#line.show(progressText(job, this.#first, now));
  }
}

const doneOf = ({ counts }: Job): number => counts.completed + counts.failed;

interface Reached {
  readonly done: number;
  /** In milliseconds. */
  readonly at: number;
}

/** e.g. `[####------] 420 of 1,000, 12.3/s, 47.1 s left`. */
const progressText = (job: Job, first: Reached, now: Reached): string => {
  const { total, failed } = job.counts;
  const rate = now.at > first.at ? ((now.done - first.done) * 1000) / (now.at - first.at) : 0;
  const parts = [
    `${formatBar(total === 0 ? 0 : now.done / total, 30)} ${formatCount(now.done)} of ${formatCount(total)}`,
    ...(failed > 0 ? [`${formatCount(failed)} failed`] : []),
    ...(rate > 0 ? [`${rate.toFixed(1)}/s`, `${formatDuration(((total - now.done) / rate) * 1000)} left`] : []),
  ];
  return parts.join(", ");
};
