/** The processes of this machine, as far as it takes to find those that belong together. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Memory that it has resident. */
  readonly bytes: number;
}

/** The processes of a group, and the descendants of its leader in other groups. Without those that have ended. */
export const membersOf = async (leader: number): Promise<ReadonlyArray<ProcessRow>> => {
  const rows = await readTable();
  const isFirst = ({ pid, group }: ProcessRow) => group === leader || pid === leader;
  const members = new Map(rows.filter(isFirst).map((row) => [row.pid, row]));
  for (let before = 0; before !== members.size;) {
    before = members.size;
    for (const row of rows) if (members.has(row.parent)) members.set(row.pid, row);
  }
  return [...members.values()];
};

/** Those that live. Another process may have got the number of one that ended, and is then of another group. */
export const stillThere = async (known: ReadonlyArray<ProcessRow>): Promise<ReadonlyArray<ProcessRow>> => {
  if (known.length === 0) return [];
  const rows = await readTable();
  return known.filter(({ pid, group }) => rows.some((row) => row.pid === pid && row.group === group));
};

const readTable = (): Promise<ReadonlyArray<ProcessRow>> => (process.platform === "linux" ? readProc() : askPs());

/** Small images have no `ps`. */
const readProc = async (): Promise<ReadonlyArray<ProcessRow>> => {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const rows = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/status`, "utf8").then(rowOfStatus, assertNoLack)),
  );
  return rows.filter((row) => row !== undefined);
};

/**
 * A process may end while its row is read, and some may not be readable. But a row must not be skipped for lack of file
 * descriptors.
 */
const assertNoLack = (cause: unknown): undefined => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EMFILE" || code === "ENFILE") throw cause;
};

const rowOfStatus = (status: string): ProcessRow | undefined => {
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  if (field("State") === "Z") return undefined;
  return {
    pid: Number(field("Pid")),
    parent: Number(field("PPid")),
    group: Number(field("NSpgid")),
    bytes: Number(field("VmRSS")) * 1024,
  };
};

const askPs = async (): Promise<ReadonlyArray<ProcessRow>> => {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,pgid=,rss=,stat="], {
    maxBuffer: 16 * 1024 ** 2,
  });
  return stdout.split("\n").flatMap((line) => {
    const [pid, parent, group, kibibytes, state = "Z"] = line.trim().split(/\s+/);
    if (state.startsWith("Z")) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), bytes: Number(kibibytes) * 1024 }];
  });
};
