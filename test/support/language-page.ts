/** The projects of docs/other-languages.md: their files and commands as they stand on the page. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs/other-languages.md"), "utf8");

/** What the page's code is marked with: a file's name, or the language whose commands they are. */
const blocks = new Map(
  [...page.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(({ 1: mark = "", 2: code = "" }) => [mark, code]),
);

export interface Project {
  readonly folder: string;
  /** Runs the commands that the page has for this language. */
  readonly run: (language: string, environment?: Readonly<Record<string, string>>) => Promise<Ended>;
}

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Lays out a project with these files of the page and the API's files, which calls the service at this port. */
export const createProject = (name: string, files: readonly string[], port: number): Project => {
  const folder = join(root, ".cache/languages", name);
  // What was installed and compiled before (.venv, target) stays: it takes minutes and is not what is tested.
  for (const part of ["gen", "go.mod", "go.sum", "protos"]) {
    rmSync(join(folder, part), { recursive: true, force: true });
  }
  for (const part of ["proto", "vendor"]) cpSync(join(root, part), join(folder, "protos"), { recursive: true });
  for (const file of files) {
    const code = blocks.get(file);
    if (code === undefined) throw new Error(`docs/other-languages.md has no ${file}`);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), code.replaceAll("127.0.0.1:50051", `127.0.0.1:${port}`));
  }
  return {
    folder,
    run: (language, environment = {}) => {
      const commands = blocks.get(language);
      if (commands === undefined) throw new Error(`docs/other-languages.md has no commands for ${language}`);
      return runShell(commands, folder, environment);
    },
  };
};

export const runShell = async (
  commands: string,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> => {
  const child = spawn("bash", ["-euo", "pipefail", "-c", commands], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { exitCode: child.exitCode, stdout, stderr };
};

/** Why this program cannot be used here, or undefined. */
export const missing = (program: string, ...args: string[]): Promise<string | undefined> =>
  promisify(execFile)(program, args).then(
    () => undefined,
    () => `${program} is missing`,
  );

/** An answer, a stream and a refusal, as every program of the page prints them. */
export const saysAll = (refusal: RegExp): RegExp =>
  new RegExp(`^2 \\+ 2 is 4\\.\n1, 2, 3, 4, 5 FINISH_REASON_END_OF_SEQUENCE\n${refusal.source}`, "");
