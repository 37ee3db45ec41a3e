import type { PgBoss } from "pg-boss";

/** Deletes a queue, which a call, the housekeeping and other hosts may do at the same time. */
export const deleteQueue = (boss: PgBoss, name: string): Promise<void> =>
  boss.deleteQueue(name).catch((error: unknown) => {
    if (!isGone(error)) throw error;
  });

/** pg-boss formats the name of the queue's table, which is null if the queue is gone: null_value_not_allowed. */
const isGone = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "22004";
