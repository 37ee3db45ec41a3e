/** Finds the cause of an engine process's end if the process could not report it itself. */
import { readFileSync } from "node:fs";

/** How a process ended. */
export interface ProcessEnd {
  /** A short phrase for logs, e.g. `signal SIGKILL`. */
  readonly how: string;
  /**
   * `memory`: the machine ran out of memory. `gpu`: a GPU command failed. `no-mlx`: MLX, its binding or the GPU is
   * missing or does not fit the machine.
   */
  readonly cause: "memory" | "gpu" | "no-mlx" | undefined;
  /** For the callers whose requests were lost: a clause that says nothing about the machine. */
  readonly reason?: string;
}

/**
 * @param lastWords the end of what it wrote to standard error
 * @param oomKilled whether the system killed a process for lack of memory while this one was running and this service
 *   had not ended it
 */
export const processEnd = (how: string, lastWords: string, oomKilled: boolean): ProcessEnd => {
  const noMlx = /^Error: MLX cannot be loaded: (.*)$/m.exec(lastWords)?.[1];
  if (noMlx !== undefined) return { how: noMlx, cause: "no-mlx" };
  if (noGpuPattern.test(lastWords)) return { how: noGpu, cause: "no-mlx" };
  const command = commandPattern.exec(lastWords)?.[1];
  if (command !== undefined) {
    const { cause, reason } = commandErrors[command] ?? {
      cause: "gpu",
      reason: `the GPU gave a command up (${command})`,
    };
    return { how: `${how}: ${reason}`, cause, reason };
  }
  const reason = "the machine had no memory left";
  if (oomKilled) return { how: `${how}: the system ended it for lack of memory`, cause: "memory", reason };
  const said = memoryPattern.exec(lastWords)?.[0];
  return said === undefined ? { how, cause: undefined } : { how: `${how}: ${said}`, cause: "memory", reason };
};

/**
 * What MLX throws on a Metal queue when a command buffer has failed, which ends the process: "[METAL] Command buffer
 * execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)".
 */
const commandPattern = /kIOGPUCommandBufferCallbackError(\w{1,40})/;

const commandErrors: Readonly<Record<string, { cause: "memory" | "gpu"; reason: string }>> = {
  OutOfMemory: { cause: "memory", reason: "the GPU had no memory left" },
  Timeout: { cause: "gpu", reason: "the GPU did not finish a command in time" },
  Hang: { cause: "gpu", reason: "the GPU hung in a command" },
  ImpactingInteractivity: { cause: "gpu", reason: "macOS ended a command of the GPU that held up the screen" },
  SubmissionsIgnored: { cause: "gpu", reason: "macOS refused the GPU's commands after earlier errors" },
};

/** NSRangeException comes from an empty array of Metal devices, the others from a check in MLX. */
const noGpuPattern = /NSRangeException|Failed to load device|No Metal device/;

const noGpu =
  "no Metal GPU can be used by this process: in a virtual machine without one, or in a daemon that starts before a login, MLX has no device";

/** Phrases of the C++ library, MLX, V8 and the operating system. */
const memoryPattern =
  /std::bad_alloc|\[[\w:]*malloc[\w:]*\] Unable to allocate[^\n]*|JavaScript heap out of memory|Fatal process out of memory[^\n]*|Cannot allocate memory/;

/** How often the system has killed a process for lack of memory since boot; 0 if it does not report that. */
export const countOomKills = (): number => {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
};
