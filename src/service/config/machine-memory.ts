/** The memory of this machine, and how much of it models may take. */
import { execFileSync } from "node:child_process";
import { totalmem } from "node:os";

export interface MachineMemory {
  /** Of the machine, or of the container where that has less. */
  readonly totalBytes: number;
  /** What the GPU may hold resident at once; undefined where models are computed on the CPU. */
  readonly gpuWorkingSetBytes: number | undefined;
}

export const readMachineMemory = (): MachineMemory => {
  // Where there is no limit the system tells a huge one, or 0.
  const totalBytes = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  const onGpu = process.platform === "darwin" && process.arch === "arm64";
  return { totalBytes, gpuWorkingSetBytes: onGpu ? gpuWorkingSet(totalBytes, readWiredLimit()) : undefined };
};

/**
 * Of unified memory. macOS lets the GPU hold about two thirds of it on machines of up to 36 GiB and three quarters on
 * larger ones, unless `sysctl iogpu.wired_limit_mb` says otherwise (0: it does not).
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
 * The most that models may take. Beside a GPU a tenth of its working set stays free for what a step allocates, and 4 GiB
 * (a quarter of a small machine) for the system: macOS under memory pressure ends command buffers, and with them engines.
 */
export const mostModelBytes = ({ totalBytes, gpuWorkingSetBytes }: MachineMemory): number => {
  if (gpuWorkingSetBytes === undefined) return Infinity;
  const system = Math.min(4 * 1024 ** 3, totalBytes / 4);
  return Math.floor(Math.min(gpuWorkingSetBytes * 0.9, totalBytes - system));
};
