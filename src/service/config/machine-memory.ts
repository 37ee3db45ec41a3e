/** The machine's memory, and how much of it models may take. */
import { execFileSync } from "node:child_process";
import { totalmem } from "node:os";

export interface MachineMemory {
  /** Of the machine, or of the container if that has less. */
  readonly totalBytes: number;
  /** What the GPU may keep resident at once; undefined if models are computed on the CPU. */
  readonly gpuWorkingSetBytes: number | undefined;
}

export const readMachineMemory = (): MachineMemory => {
  // Without a limit the system reports a huge one, or 0.
  const totalBytes = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  const onGpu = process.platform === "darwin" && process.arch === "arm64";
  return { totalBytes, gpuWorkingSetBytes: onGpu ? gpuWorkingSet(totalBytes, readWiredLimit()) : undefined };
};

/**
 * The GPU's share of unified memory. macOS lets the GPU hold about two thirds on machines with up to 36 GiB, and three
 * quarters on larger ones, unless `sysctl iogpu.wired_limit_mb` is set (0: it is not).
 *
 * @param wiredLimit in MiB
 */
export const gpuWorkingSet = (totalBytes: number, wiredLimit: number): number => {
  if (wiredLimit > 0) return Math.min(totalBytes, wiredLimit * 1024 ** 2);
  return Math.floor(totalBytes * (totalBytes <= 36 * 1024 ** 3 ? 2 / 3 : 3 / 4));
};

const readWiredLimit = (): number => {
  try {
    return Number(execFileSync("/usr/sbin/sysctl", ["-n", "iogpu.wired_limit_mb"], { encoding: "utf8" })) || 0;
  } catch {
    return 0;
  }
};

/**
 * The most that models may take. With a GPU, a tenth of its working set is left for a step's temporaries, and 4 GiB (a
 * quarter of a small machine) for the system: under memory pressure macOS ends command buffers, and with them engines.
 */
export const mostModelBytes = ({ totalBytes, gpuWorkingSetBytes }: MachineMemory): number => {
  if (gpuWorkingSetBytes === undefined) return Infinity;
  const system = Math.min(4 * 1024 ** 3, totalBytes / 4);
  return Math.floor(Math.min(gpuWorkingSetBytes * 0.9, totalBytes - system));
};
