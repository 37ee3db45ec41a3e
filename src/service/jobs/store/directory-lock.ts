/**
 * Keeps two processes from opening one embedded store: it takes no lock itself, and what both write is lost without an error.
 * The lock is a file that names its owner by process id and start time; one whose owner has ended is taken over.
 */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** The directory is another process's. */
export class DirectoryLocked extends Error {
  constructor(owner: string) {
    super(`process ${owner} holds it: end that one, or give this one a store of its own (MLXD_JOBS_STORE)`);
  }
}

/** Throws DirectoryLocked. Gives the lock back when called. */
export const lockDirectory = (directory: string): (() => void) => {
  const path = join(directory, "lock");
  const own = `${process.pid} ${startOf(process.pid) ?? "unknown"} ${hostname()} ${randomUUID()}\n`;
  for (let attempt = 0; attempt < 10; attempt++) {
    if (create(path, own)) {
      return () => {
        if (read(path) === own) rmSync(path, { force: true });
      };
    }
    const found = read(path);
    if (found === undefined) continue;
    if (isHeld(found)) throw new DirectoryLocked(found.split(" ")[0] ?? "unknown");
    takeAway(path, found);
  }
  throw new DirectoryLocked("unknown");
};

const create = (path: string, text: string): boolean => {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
};

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
};

/** Removes a lock whose owner has ended, and puts it back where another process has taken it over meanwhile. */
const takeAway = (path: string, found: string): void => {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    if (read(aside) !== found) linkSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
};

/** Whether its owner is alive. A process id is used again: what tells the two apart is when they started. */
const isHeld = (text: string): boolean => {
  const [pid = "", started = "", host = ""] = text.trim().split(" ");
  // Of another machine that shares the directory nothing can be known. An empty file is one that is being written.
  if (!/^\d+$/.test(pid)) return false;
  if (host !== hostname()) return true;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
  }
  const startedNow = startOf(Number(pid));
  return startedNow === undefined || started === "unknown" || startedNow === started;
};

/** When a process started, in whatever form its system tells it. */
const startOf = (pid: number): string | undefined => {
  try {
    // Field 22; the name before it is in brackets and may hold anything.
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    }
    const text = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return text.replaceAll(/\s+/g, "_") || undefined;
  } catch {
    return undefined;
  }
};

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
