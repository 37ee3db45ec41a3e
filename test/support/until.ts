import { setTimeout as sleep } from "node:timers/promises";

/** Waits for something that has to come. There is no bound but the test's own: machines are slow. */
export const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await sleep(20);
};
