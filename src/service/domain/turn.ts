/** Whose turn it is among tasks that wait, in front of an engine and inside it. */
import type { SchedulingHints } from "./generation.ts";

/**
 * When a task's turn is due, in seconds: whose is the earliest goes first. It is when the task came, less its priority, so
 * a waiting one gains a level of priority each second and none starves.
 *
 * @param since epoch milliseconds
 */
export const turnOf = (
  { priority, background }: Pick<SchedulingHints, "priority" | "background">,
  since: number,
): number => since / 1000 - priority + (background === true ? backgroundDeferral : 0);

/** Seconds: a job's items come after all interactive calls, however long they have waited. */
const backgroundDeferral = 1e8;

/** Seconds by which each running task defers the turns of its fairness id, so that many tasks of one caller leave turns to others. */
export const deferralPerRunning = 1;
