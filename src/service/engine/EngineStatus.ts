/** How an engine is: its health, what it computes with, and what it takes of the memory budget. */
import { noMemory, type WorkerMemory } from "../worker/protocol/from-worker.ts";

export { noMemory };

/**
 * `restarting`: no process takes requests. `stalled`: a process takes requests but delivers nothing. `unreachable`: it
 * is on another host, which has repeatedly failed to answer.
 */
export type EngineHealth = "serving" | "restarting" | "stalled" | "unreachable";

/** What an engine computes with, as the engine reports it. */
export interface EngineBackend {
  readonly version: string;
  /** The binding through which it is called; empty if there is only one. */
  readonly binding: string;
  /** Why that binding was chosen. */
  readonly reason: string;
}

/** Where an engine computes. */
export type EngineDevice = "cpu" | "metal";

/** The memory of an engine's process. */
type EngineMemory = WorkerMemory;

/**
 * The bytes that count against the memory budget. On a Mac, memory that the GPU uses is not part of the process's
 * resident size, or only partly.
 */
export const takenBytes = ({ device, residentBytes, mlxActiveBytes, mlxCacheBytes }: EngineStatus): number =>
  device === "metal" ? Math.max(residentBytes, mlxActiveBytes + mlxCacheBytes) : residentBytes;

export interface EngineStatus extends EngineMemory {
  /** Undefined until its first process has reported it. */
  readonly device: EngineDevice | undefined;
  readonly backend: EngineBackend | undefined;
  readonly restarts: number;
}
