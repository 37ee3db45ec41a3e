/** The mlxd command in a process of its own, without a terminal. */
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cliProgram = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

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

/** Runs the command with its output to this file, and its notes to that one if it is named. */
export const runInto = async (
  args: readonly string[],
  stdout: string,
  environment: Readonly<Record<string, string>> = {},
  stderr?: string,
): Promise<Ended> => {
  const files = [openSync(stdout, "w"), ...(stderr === undefined ? [] : [openSync(stderr, "w")])];
  const child = spawn(process.execPath, [cliProgram, ...args], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ["ignore", files[0], files[1] ?? "pipe"],
  });
  const [notes] = await Promise.all([child.stderr ? text(child.stderr) : "", once(child, "close")]);
  for (const file of files) closeSync(file);
  return { exitCode: child.exitCode, stdout: "", stderr: notes };
};

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
      ended.then(({ stderr }) => reject(new Error(`it never said ${pattern}: ${said}${stderr}`)), reject);
    });
  return { process: child, says, ended };
};

/**
 * Runs the command on a terminal, which util-linux's `script` gives it, and types a line at each of its prompts, as a
 * person does: what is typed before, and an end of input, get lost where the command changes the terminal's mode.
 *
 * @returns what it prints, and tells beside that
 */
export const onTerminal = async (
  command: string,
  environment: Readonly<Record<string, string>>,
  typed: readonly string[] = [],
): Promise<string> => {
  // What Node takes for a terminal without colours. CI is one of them.
  const { FORCE_COLOR: _, NO_COLOR: __, CI: ___, ...inherited } = process.env;
  const run = promisify(execFile)("script", ["-qec", `'${process.execPath}' '${cliProgram}' ${command}`, "/dev/null"], {
    env: { ...inherited, TERM: "xterm", ...environment },
  });
  const { stdin, stdout } = run.child;
  if (typed.length === 0) stdin?.end();
  const lines = [...typed];
  let told = "";
  let prompts = 0;
  stdout?.on("data", (chunk: string) => {
    told += chunk;
    // Each prompt is written again for what is typed there.
    const shown = told.split("> ").length - 1;
    if (shown <= prompts) return;
    prompts = shown;
    const line = lines.shift();
    if (line !== undefined) stdin?.write(`${line}\n`);
  });
  return (await run).stdout;
};

/** Runs the command to its end with this standard input. */
export const runCommand = (
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input: string | Uint8Array = "",
): Promise<Ended> => {
  const { process: child, ended } = startCommand(args, environment);
  child.stdin.on("error", () => {}); // it may end without having read
  child.stdin.end(input);
  return ended;
};
