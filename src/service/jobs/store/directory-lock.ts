/**
 * Keeps two processes from opening the same embedded store. PGlite takes no lock itself, and what two processes write
 * is lost without an error. The lock is a file that names its owner, which touches it every few seconds. A lock whose
 * owner has ended is taken over: immediately if its process can be looked up, and otherwise (for example if a container
 * was replaced) when it was not touched for a while.
 */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  closeSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Another process has the directory. */
export class DirectoryLocked extends Error {
  constructor(owner: string) {
    super(`process ${owner} holds it: end that one, or give this one a store of its own (MLXD_JOBS_STORE)`);
  }
}

interface LockTimes {
  /** How often the owner touches the lock. */
  readonly touchMs: number;
  /** If the lock was not touched for this long, its owner has ended. */
  readonly silentMs: number;
}

const usualTimes: LockTimes = { touchMs: 2_000, silentMs: 12_000 };

/**
 * Throws DirectoryLocked. The returned function releases the lock.
 *
 * @param onLost called if another process took the lock over, because this one was stopped for long
 */
export const lockDirectory = async (
  directory: string,
  onLost: () => void,
  times: LockTimes = usualTimes,
): Promise<() => void> => {
  const path = join(directory, "lock");
  const own = `${process.pid} ${startOf(process.pid) ?? "unknown"} ${whereabouts()} ${hostname()} ${randomUUID()}\n`;
  for (let attempt = 0; attempt < 10; attempt++) {
    if (create(path, own)) return keep(path, own, onLost, times);
    const found = read(path);
    if (found === undefined) continue;
    const owner = ownerFrom(found.text);
    if (owner.isHere ? isAlive(owner) : await isTouched(path, found, times)) throw new DirectoryLocked(owner.name);
    takeAway(path, found.text);
  }
  throw new DirectoryLocked("unknown");
};

const keep = (path: string, own: string, onLost: () => void, { touchMs, silentMs }: LockTimes): (() => void) => {
  let touchedAt = performance.now();
  const timer = setInterval(() => {
    const isKept = touch(path, own);
    if (isKept === true) touchedAt = performance.now();
    // The disk may be unavailable for a moment. But after this time, another process may take the lock over.
    if (isKept === true || (isKept === undefined && performance.now() - touchedAt < silentMs)) return;
    clearInterval(timer);
    onLost();
  }, touchMs).unref();
  return () => {
    clearInterval(timer);
    if (isOwn(path, own)) rmSync(path, { force: true });
  };
};

/** Whether the lock is still ours; undefined if that cannot be determined. */
const touch = (path: string, own: string): boolean | undefined => {
  try {
    if (!isOwn(path, own)) return false;
    utimesSync(path, new Date(), new Date());
    return true;
  } catch {
    return undefined;
  }
};

const isOwn = (path: string, own: string): boolean => read(path)?.text === own;

/** Creates the file with its whole text, or not at all. */
const create = (path: string, text: string): boolean => {
  const whole = `${path}.${randomUUID()}`;
  writeFileSync(whole, text, { flag: "wx" });
  try {
    linkSync(whole, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(whole, { force: true });
  }
};

interface Found {
  readonly text: string;
  readonly touchedMs: number;
}

const read = (path: string): Found | undefined => {
  let file: number | undefined;
  try {
    // Opened first, because network file systems report current times only for an open file.
    file = openSync(path, "r");
    return { text: readFileSync(file, "utf8"), touchedMs: fstatSync(file).mtimeMs };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
};

/**
 * Whether somebody touches or changes the file while we watch it. Its times are not compared with our clock, because it
 * may be on another machine.
 */
const isTouched = async (path: string, found: Found, { touchMs, silentMs }: LockTimes): Promise<boolean> => {
  for (let waited = 0; waited < silentMs; waited += touchMs) {
    await sleep(touchMs);
    const now = read(path);
    if (now?.text !== found.text || now.touchedMs !== found.touchedMs) return now !== undefined;
  }
  return false;
};

/** Removes a lock whose owner has ended, and puts it back if another process took it over meanwhile. */
const takeAway = (path: string, found: string): void => {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    if (!isOwn(aside, found)) linkSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
};

interface Owner {
  /** For error messages. */
  readonly name: string;
  readonly pid: number;
  readonly started: string;
  /** Whether its process id belongs to this system. */
  readonly isHere: boolean;
}

const ownerFrom = (text: string): Owner => {
  const [pid = "", started = "", where = "", host = ""] = text.trim().split(" ");
  const isHere = where !== "unknown" && where === whereabouts();
  return { name: isHere ? pid : `${pid || "unknown"} of host ${host || "unknown"}`, pid: Number(pid), started, isHere };
};

/** Process ids are reused, so the start time is compared as well. */
const isAlive = ({ pid, started }: Owner): boolean => {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
  }
  const startedNow = startOf(pid);
  return startedNow === undefined || started === "unknown" || startedNow === started;
};

/** Identifies the scope in which process ids are unique: a boot of the machine and, on Linux, a container. */
const whereabouts = (): string => {
  try {
    if (process.platform === "linux") {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      return `${boot}/${readlinkSync("/proc/self/ns/pid")}`;
    }
    return execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
};

/** When a process started, in the format of its system. */
const startOf = (pid: number): string | undefined => {
  try {
    // Field 22; the name before it is in brackets and may contain anything.
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
