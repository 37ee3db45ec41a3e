import { membersOf } from "../../src/service/processes/process-table.ts";

/** Whether a process runs. One that has ended and that nobody has waited for does not. */
export const isAlive = async (pid: number): Promise<boolean> => (await membersOf(pid)).some((row) => row.pid === pid);
