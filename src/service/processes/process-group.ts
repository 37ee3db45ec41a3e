/**
 * Runs another program together with its child processes. They all end together: when the program ends, when they are
 * told to, and when the service ends in any way, even killed. The program knows nothing of the service, so a shell
 * beside it in its process group takes care of that: it waits for the end of a pipe that the service holds, and that
 * the system closes when the service ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";

import { endFirstInShell } from "./end-first.ts";
import { membersOf, type ProcessRow, stillThere } from "./process-table.ts";

interface GroupOptions {
  /** The program, as a path or a name to be found in PATH, and its arguments. */
  readonly command: readonly [string, ...ReadonlyArray<string>];
  /** The whole of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  /** What its processes write to both of their standard streams. */
  readonly onOutput: (text: string) => void;
}

export interface ProcessGroup {
  /** How the program ended, as `exit code 1` or `signal SIGKILL`. By then all its processes are gone. Never rejects. */
  readonly ended: Promise<string>;
  /** Asks its processes to end, and makes those that do not. Resolves when they are gone. */
  readonly end: () => Promise<void>;
  /** The resident memory of all its processes; 0 when they have ended. Rejects if the system does not report it. */
  readonly residentBytes: () => Promise<number>;
}

/**
 * A program that is not there ends with exit code 127. The descriptor 3 is closed in the program, so that only the keeper reads it.
 * The signal that is for all its group finds the keeper trapping or ignoring it; the program is started before with neither.
 */
const keeper = `
trap : TERM
${endFirstInShell}
"$@" 3<&- &
program=$!
{
  trap '' TERM
  read -r _ <&3
  kill -TERM 0
  tries=0
  while kill -0 "$program" && [ "$tries" -lt 50 ]; do
    command -p sleep 0.1
    tries=$((tries + 1))
  done
  kill -KILL 0
} 2> /dev/null > /dev/null &
while :; do
  wait "$program"
  status=$?
  kill -0 "$program" 2> /dev/null || exit "$status"
done
`;

export const startGroup = ({ command, environment, directory, onOutput }: GroupOptions): ProcessGroup => {
  const child = spawn("/bin/sh", ["-c", keeper, "mlxd-keeper", ...command], {
    cwd: directory,
    env: environment,
    // Starts a new session, and with it a new process group.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  // If the service has no file descriptors left, the child has no streams, and its `error` event says so.
  const held = (child.stdio as typeof child.stdio | undefined)?.[3];
  // The pipe breaks if the keeper ends first.
  held?.on("error", () => {});
  for (const stream of [child.stdout, child.stderr]) readText(stream, onOutput);
  /** Descendants that have left the group are only found while their parents live. */
  let strays: ReadonlyArray<ProcessRow> = [];
  const ended = endOf(child).then(async (how) => {
    await killLeft(child.pid, strays);
    held?.destroy();
    return how;
  });
  let ending: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    if (child.pid !== undefined) {
      const members = await membersOf(child.pid).catch(() => []);
      strays = members.filter(({ group }) => group !== child.pid);
    }
    held?.destroy();
    // The keeper is one of the group: what stopped all of it has stopped the keeper too.
    const late = setTimeout(() => signal(child.pid, "SIGKILL"), endMs);
    await ended;
    clearTimeout(late);
  };
  return {
    ended,
    end: () => (ending ??= end()),
    residentBytes: async () => {
      if (child.pid === undefined) return 0;
      return (await membersOf(child.pid)).reduce((sum, { bytes }) => sum + bytes, 0);
    },
  };
};

/** Longer than the keeper takes. */
const endMs = 8_000;

const readText = (stream: Readable | null | undefined, onText: (text: string) => void): void => {
  stream?.setEncoding("utf8");
  stream?.on("data", onText);
  stream?.on("error", () => {});
};

/** By then everything that it wrote was read, unless a process outside the group keeps the stream open. */
const endOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once("error", (cause) => resolve(`a failed start: ${cause.message}`));
    child.once("exit", (code, killedBy) => {
      const how = describeEnd(code, killedBy);
      signal(child.pid, "SIGKILL");
      const late = setTimeout(() => resolve(how), readMs);
      child.once("close", () => {
        clearTimeout(late);
        resolve(how);
      });
    });
  });

const readMs = 1_000;

/** A shell reports the signal that ended its program as an exit code above 128. */
const describeEnd = (code: number | null, killedBy: NodeJS.Signals | null): string => {
  if (killedBy !== null) return `signal ${killedBy}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === (code ?? 0) - 128)?.[0];
  return name === undefined ? `exit code ${code}` : `signal ${name}`;
};

const killLeft = async (leader: number | undefined, strays: ReadonlyArray<ProcessRow>): Promise<void> => {
  for (const { pid } of await stillThere(strays).catch(() => [])) kill(pid, "SIGKILL");
  for (let tries = 0; tries < 100 && signal(leader, "SIGKILL"); tries++) {
    // Ended ones that nobody has waited for count as members.
    const members = leader === undefined ? [] : await membersOf(leader).catch(() => undefined);
    if (members?.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** @returns whether the group has a member */
const signal = (leader: number | undefined, name: NodeJS.Signals): boolean =>
  leader !== undefined && kill(-leader, name);

const kill = (pid: number, name: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
};
