/** Follows a job: writes its results as lines of JSON, and shows its progress as a bar. */
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { JobResultsOptions, NodeClient } from "../../client/node.ts";
import { CommandFailed, Interrupted } from "../failures.ts";
import { note, write } from "../print.ts";
import { StatusLine } from "../status-line.ts";
import { progressText, type Reached, resultLine } from "./describe-job.ts";

/** How often the bar is updated. */
const lookMs = 1_000;

interface FollowOptions extends Pick<JobResultsOptions, "order" | "availableOnly"> {
  /** A file; undefined for standard output. */
  readonly output: string | undefined;
  readonly signal: AbortSignal;
}

/** Writes results as they are read, until the job is over or, if only these are requested, those that exist. */
export const followResults = async (
  client: NodeClient,
  jobId: string,
  { output, signal, ...reading }: FollowOptions,
): Promise<void> => {
  using progress = new JobProgress(client, jobId);
  const lines = async function* () {
    for await (const result of client.jobs.results(jobId, { ...reading, signal })) {
      yield `${JSON.stringify(resultLine(result))}\n`;
    }
  };
  try {
    if (output !== undefined) return await pipeline(lines, (await open(output, "w")).createWriteStream());
    for await (const line of lines()) {
      progress.clear();
      write(line);
    }
  } catch (error) {
    if (signal.aborted) {
      progress.clear();
      note(`the job continues without this command; to see its results: mlxd jobs results ${jobId}`);
      throw new Interrupted();
    }
    if (isOfFile(error)) throw new CommandFailed(`cannot write ${output}: ${error.code}`);
    throw error;
  }
};

const isOfFile = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && "syscall" in error;

/** The progress of a job on a terminal: a bar with the rate and the remaining time. */
export class JobProgress implements Disposable {
  readonly #line = new StatusLine();
  readonly #client: NodeClient;
  readonly #jobId: string;
  readonly #timer: NodeJS.Timeout | undefined;
  #first: Reached | undefined;
  #isOver = false;

  constructor(client: NodeClient, jobId: string) {
    this.#client = client;
    this.#jobId = jobId;
    if (process.stderr.isTTY) this.#timer = setInterval(() => void this.#look(), lookMs).unref();
  }

  clear(): void {
    this.#line.clear();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#line.clear();
  }

  async #look(): Promise<void> {
    // If the service is briefly unavailable, the bar stays as it is.
    const job = await this.#client.jobs.get(this.#jobId).catch(() => undefined);
    if (job === undefined || this.#isOver) return;
    const { completed, failed } = job.counts;
    const now = { done: completed + failed, at: performance.now() };
    this.#first ??= now;
    this.#line.show(progressText(job, this.#first, now));
  }
}
