/** The mlxd command in a process of its own, without a terminal. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
export const cliProgram = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Settles when standard output has said something like this. */
  readonly says: (pattern: RegExp) => Promise<void>;
  readonly ended: Promise<Ended>;
}

/** Starts the command; its standard input stays open. */
export const startCommand = (
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): RunningCommand => {
  // The test runner asks for colours.
  const { FORCE_COLOR: _, NO_COLOR: __, ...inherited } = process.env;
  const child = spawn(process.execPath, [cliProgram, ...args], {
    cwd: root,
    env: { ...inherited, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]).then(
    ([stdout, stderr]): Ended => ({ exitCode: child.exitCode, stdout, stderr }),
  );
  const says = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(said)) resolve();
      };
      look();
      child.stdout.on("data", look);
      void ended.then(({ stderr }) => reject(new Error(`it never said ${pattern}: ${said}${stderr}`)));
    });
  return { process: child, says, ended };
};

/** Runs the command to its end with this standard input. */
export const runCommand = (
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = "",
): Promise<Ended> => {
  const { process: child, ended } = startCommand(args, environment);
  child.stdin.on("error", () => {}); // it may end without having read
  child.stdin.end(input);
  return ended;
};
