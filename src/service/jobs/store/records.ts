/** Converts rows of the store's tables to domain values. */
import type { ItemFailure, ItemOutcome, Job, JobAttempt, JobItem, JobOptions, JobState } from "../../domain/job.ts";
import { isOver } from "../../domain/job.ts";
import type { Row } from "./Database.ts";
import { failureFromStored, failureToStored, fromStored, type StoredFailure, toStored } from "./stored-json.ts";

/** A time as epoch milliseconds. */
export const ms = (column: string, name = column.replace(/^.*\./, "")): string =>
  `floor(extract(epoch FROM ${column}) * 1000)::float8 AS ${name}`;

/** Columns of `mlxd.job j`. */
export const jobColumns = [
  "j.id::text",
  "j.request_id",
  "j.tenant",
  "j.state",
  "j.sealed",
  "j.single",
  "j.options",
  "j.total",
  "j.completed",
  "j.failed",
  "(SELECT count(*) FROM mlxd.item i WHERE i.job_id = j.id AND i.state = 'in-progress')::int AS in_progress",
  "j.item_bytes::float8",
  "j.prompt_tokens::float8",
  "j.cached_prompt_tokens::float8",
  "j.output_tokens::float8",
  "j.last_sequence",
  ...["j.created_at", "j.started_at", "j.finished_at", "j.expires_at", "j.delete_at"].map((column) => ms(column)),
  "j.place::float8",
].join(", ");

interface JobRow {
  readonly id: string;
  readonly request_id: string;
  readonly state: JobState;
  readonly sealed: boolean;
  readonly options: JobOptions;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly in_progress: number;
  readonly item_bytes: number;
  readonly prompt_tokens: number;
  readonly cached_prompt_tokens: number;
  readonly output_tokens: number;
  readonly last_sequence: number;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly expires_at: number;
  readonly delete_at: number | null;
}

export const jobFromRow = (row: Row): Job => {
  const job = row as unknown as JobRow; // as selected above
  const { state, total, completed, failed } = job;
  const over = isOver(state);
  const inProgress = over ? 0 : job.in_progress;
  const left = total - completed - failed;
  return {
    id: job.id,
    requestId: job.request_id,
    state,
    sealed: job.sealed,
    counts: {
      total,
      completed,
      failed,
      inProgress,
      pending: over ? 0 : left - inProgress,
      cancelled: state === "cancelled" ? left : 0,
      expired: state === "expired" ? left : 0,
    },
    usage: {
      promptTokens: job.prompt_tokens,
      cachedPromptTokens: job.cached_prompt_tokens,
      outputTokens: job.output_tokens,
    },
    itemBytes: job.item_bytes,
    options: job.options,
    lastSequence: job.last_sequence,
    createdAt: job.created_at,
    startedAt: job.started_at ?? undefined,
    finishedAt: job.finished_at ?? undefined,
    expiresAt: job.expires_at,
    deletedAt: job.delete_at ?? undefined,
  };
};

/** An attempt, as stored in the column `attempts`. */
export interface StoredAttempt {
  /** Its number. */
  readonly n: number;
  /** When it began and ended, in epoch milliseconds. */
  readonly s: number;
  readonly e?: number;
  readonly host: string;
  readonly failure?: StoredFailure;
}

/** Only the last attempts are kept. */
export const keptAttempts = 32;

export const endAttempt = (
  attempts: ReadonlyArray<StoredAttempt>,
  endedAt: number,
  failure: ItemFailure | undefined,
): ReadonlyArray<StoredAttempt> => {
  const last = attempts.at(-1);
  if (last === undefined) return attempts;
  const ended = failure === undefined ? {} : { failure: failureToStored(failure) };
  return [...attempts.slice(0, -1), { ...last, e: endedAt, ...ended }];
};

const attemptFrom = ({ n, s, e, host, failure }: StoredAttempt): JobAttempt => ({
  number: n,
  startedAt: s,
  finishedAt: e,
  host,
  failure: failure && failureFromStored(failure),
});

/** The state of an item; without an outcome it is that of its job once that is over. */
const itemState = (own: JobState, job: JobState): JobState =>
  own === "completed" || own === "failed" || !isOver(job) ? own : job;

export const itemFromRow = (row: Row, job: JobState): JobItem => ({
  index: Number(row["index"]),
  itemId: String(row["item_id"]) || String(row["index"]),
  state: itemState(row["state"] as JobState, job),
  attempts: (row["attempts"] as ReadonlyArray<StoredAttempt>).map(attemptFrom),
  retryAt: isOver(job) ? undefined : ((row["retry_at"] as number | null) ?? undefined),
});

export type SettledOutcome = Exclude<ItemOutcome, { readonly type: "cancelled" | "expired" }>;

export const outcomeToStored = (outcome: SettledOutcome): string =>
  toStored(outcome.type === "result" ? outcome : failureToStored(outcome));

export const outcomeFromStored = (text: string): SettledOutcome => {
  const stored = fromStored<Extract<SettledOutcome, { readonly type: "result" }> | StoredFailure>(text);
  return stored.type === "result" ? stored : failureFromStored(stored);
};
