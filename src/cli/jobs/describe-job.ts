/** What the commands print of jobs. */
import type { Job, JobEvent, JobItem, JobResult } from "../../client/node.ts";
import { formatBar, formatCount, formatDuration } from "../format.ts";

export const jobColumns = ["ID", "STATE", "DONE", "FAILED", "TOTAL", "CREATED", "LABELS"];

/** A job in a table with these columns. */
export const jobRow = ({ jobId, state, counts, createdAt, options }: Job): string[] => [
  jobId,
  state,
  formatCount(counts.completed),
  formatCount(counts.failed),
  formatCount(counts.total),
  createdAt?.toISOString() ?? "",
  Object.entries(options.labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(" "),
];

/** Everything about a job, by name. */
export const jobPairs = ({ counts, usage, options, ...job }: Job): [name: string, value: string][] =>
  Object.entries({ ...job, ...counts, ...options, usage }).flatMap(([name, value]): [string, string][] => {
    if (value === undefined) return [];
    if (value instanceof Date) return [[name, value.toISOString()]];
    if (name.endsWith("Ms")) return [[name.slice(0, -2), formatDuration(Number(value))]];
    return [[name, typeof value === "object" ? JSON.stringify(value) : String(value)]];
  });

/** e.g. `3  q3  failed  1: the engine ended`. */
export const itemLine = ({ index, itemId, state, attempts }: JobItem): string => {
  const errors = attempts.flatMap(({ number, error }) => (error ? [`${number}: ${error.message}`] : []));
  return [index, itemId, state, ...errors].join("  ");
};

/** e.g. `7  task q3 completed`. */
export const eventLine = (event: JobEvent): string => {
  switch (event.type) {
    case "job":
      return `${event.sequence}  job ${event.state}${event.sealed ? "" : " (open)"}`;
    case "item":
      return `${event.sequence}  task ${event.itemId} ${event.state}`;
    case "generation":
      return `${event.sequence}  ${event.event.type}${event.event.type === "chunk" ? ` ${event.event.text}` : ""}`;
    case "restarted":
      return `${event.sequence}  starts again with attempt ${event.attempt}`;
  }
};

/** A result as a line of JSON is made of it: the members that scripts use most come first. */
export const resultLine = ({ index, itemId, attempts, result, error }: JobResult): object =>
  error === undefined
    ? { index, itemId, text: result.text, finishReason: result.finishReason, attempts, usage: result.usage, result }
    : { index, itemId, error: { code: error.code, reason: error.reason, message: error.message }, attempts };

/** e.g. `the job is cancelled: 3 of 10 tasks have a result`. */
export const endLine = ({ state, counts: { completed, total } }: Job): string =>
  `the job is ${state}: ${formatCount(completed)} of ${formatCount(total)} tasks have a result`;

/** How far a job was at a time. */
export interface Reached {
  readonly done: number;
  /** In milliseconds. */
  readonly at: number;
}

/** e.g. `[####------] 420 of 1,000, 3 failed, 12.3/s, 47.1 s left`. */
export const progressText = ({ counts: { total, failed } }: Job, first: Reached, now: Reached): string => {
  const rate = now.at > first.at ? ((now.done - first.done) * 1000) / (now.at - first.at) : 0;
  const parts = [
    `${formatBar(total === 0 ? 0 : now.done / total, 30)} ${formatCount(now.done)} of ${formatCount(total)}`,
    ...(failed > 0 ? [`${formatCount(failed)} failed`] : []),
    ...(rate > 0 ? [`${rate.toFixed(1)}/s`, `${formatDuration(((total - now.done) / rate) * 1000)} left`] : []),
  ];
  return parts.join(", ");
};
