/** What the end of an engine process says of its cause, where it could not say it itself. */
import { readFileSync } from "node:fs";

/** How a process ended. */
export interface ProcessEnd {
  /** A short phrase for logs, e.g. `signal SIGKILL`. */
  readonly how: string;
  /** `memory`: the machine had none left for it. `no-mlx`: MLX or its binding is missing or does not fit the machine. */
  readonly cause: "memory" | "no-mlx" | undefined;
}

/**
 * @param lastWords the end of what it wrote to standard error
 * @param oomKilled the system has ended a process for lack of memory while this one ran, and this one was not ended here
 */
export const processEnd = (how: string, lastWords: string, oomKilled: boolean): ProcessEnd => {
  const noMlx = /^Error: MLX cannot be loaded: (.*)$/m.exec(lastWords)?.[1];
  if (noMlx !== undefined) return { how: noMlx, cause: "no-mlx" };
  if (oomKilled) return { how: `${how}: the system ended it for lack of memory`, cause: "memory" };
  const said = memoryPattern.exec(lastWords)?.[0];
  return said === undefined ? { how, cause: undefined } : { how: `${how}: ${said}`, cause: "memory" };
};

/** Of the C++ library, of MLX, of V8 and of the system. */
const memoryPattern =
  /std::bad_alloc|\[[\w:]*malloc[\w:]*\] Unable to allocate[^\n]*|JavaScript heap out of memory|Fatal process out of memory[^\n]*|Cannot allocate memory/;

/** How often the system has ended a process for lack of memory since it started; 0 where it does not tell. */
export const countOomKills = (): number => {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
};
