/**
 * Which process the kernel ends when a machine or a container has no memory left. It takes the one with the highest
 * score, and a process inherits the score of its parent: without this it may take the service, and every model with it.
 * An engine, a sandbox process or a managed server that was ended is restarted.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

/**
 * Of 1000, which is all memory of the machine or the container: the service would have to hold half of it more than the process.
 * It is relative to the service's own score, by which a supervisor (systemd, Kubernetes) places the whole of mlxd among others.
 */
const raisedBy = 500;

/**
 * Makes the kernel end this process before the service. Does nothing on systems without such a score, such as macOS.
 */
export const endFirst = (child: ChildProcess): void => {
  if (process.platform !== "linux" || child.pid === undefined) return;
  try {
    const own = Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
    writeFileSync(`/proc/${child.pid}/oom_score_adj`, String(Math.min(1000, own + raisedBy)));
  } catch {
    // It has ended, or /proc is hidden from the service: it runs as well without.
  }
};

/** The same for a shell and all that it starts, before it starts anything. */
export const endFirstInShell = `{
  read -r score < /proc/self/oom_score_adj &&
    echo "$((score > ${1000 - raisedBy} ? 1000 : score + ${raisedBy}))" > /proc/self/oom_score_adj
} 2> /dev/null`;
