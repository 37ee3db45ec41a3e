/** Resident memory of processes, from the kernel. */
import { readFileSync } from "node:fs";

/** Bytes; a process that has ended has none. */
export const residentBytes = (pid: number): number => {
  try {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return 1024 * Number(kilobytes ?? 0);
  } catch {
    return 0;
  }
};

/** The most that these processes had together while `work` ran. */
export const peakBytesDuring = async (
  pids: () => ReadonlyArray<number>,
  work: () => Promise<unknown>,
): Promise<number> => {
  const watched = pids();
  let peak = 0;
  const look = (): void => {
    peak = Math.max(
      peak,
      watched.reduce((sum, pid) => sum + residentBytes(pid), 0),
    );
  };
  const timer = setInterval(look, 50);
  try {
    await work();
    look();
  } finally {
    clearInterval(timer);
  }
  return peak;
};
