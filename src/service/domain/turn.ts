/** The order of waiting tasks, in front of an engine and inside it. */
import type { SchedulingHints } from "./generation-task.ts";

/** A task's place among the waiting ones. */
export interface QueuePlace {
  /** When its turn is due, in seconds (`turnOf`); the earliest goes first. */
  readonly turn: number;
  /** Each running task with the same id defers it by `deferralPerRunning`. */
  readonly fairnessId: string;
}

/**
 * When a task is due, in seconds; the task that is due first goes first. It is the time of arrival minus the priority,
 * so a waiting task gains one level of priority per second and none starves.
 *
 * @param since epoch milliseconds
 */
export const turnOf = (
  { priority = 0, background }: Pick<SchedulingHints, "priority" | "background">,
  since: number,
): number => since / 1000 - priority + (background === true ? backgroundDeferral : 0);

/**
 * How a task is scheduled inside its engine.
 *
 * @param since epoch milliseconds
 */
export const engineSchedulingOf = (hints: SchedulingHints, since: number): EngineScheduling => ({
  turn: turnOf(hints, since),
  fairnessId: hints.fairnessId,
  ...(hints.background === true && { background: true }),
});

interface EngineScheduling {
  readonly turn: number;
  readonly fairnessId: string;
  readonly background?: boolean;
}

/** Seconds: a job's items come after all interactive calls, however long they have waited. */
const backgroundDeferral = 1e8;

/**
 * Each running task defers the waiting tasks of its fairness id by this many seconds, so that one caller's tasks leave
 * turns to others.
 */
export const deferralPerRunning = 1;
