/**
 * Makes the database of an embedded store where there is none. To make it takes several times the memory that it takes to use
 * it, and a process keeps what a WebAssembly module had: so another process does it (database-maker.ts). It is made
 * under another name, which it loses when all of it is on the disk: one whose making was cut short, by a full disk or a
 * kill, is never taken for a database.
 */
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { endFirst } from "../../processes/end-first.ts";
import { guardChannel } from "../../processes/guard-channel.ts";
import { launch } from "../../processes/launch.ts";
import { EmbeddedFailure, type EmbeddedProblem } from "./embedded-protocol.ts";
import { flush } from "./flush-to-disk.ts";

/** The caller holds the lock of the directory that it is in. Throws EmbeddedFailure. */
export const makeDatabase = async (
  directory: string,
  make: (directory: string) => Promise<void> = makeInProcess,
): Promise<void> => {
  removeUnfinished(directory);
  if (existsSync(directory) && readdirSync(directory).length > 0) return;
  const unfinished = `${directory}.${randomUUID()}${suffix}`;
  try {
    await make(unfinished);
    renameSync(unfinished, directory);
    flush(dirname(directory));
  } catch (error) {
    removeAll(unfinished);
    throw error;
  }
};

const suffix = ".unfinished";

/** What earlier lives began: nothing was ever stored in it. */
const removeUnfinished = (directory: string): void => {
  const [parent, name] = [dirname(directory), basename(directory)];
  for (const found of readdirSync(parent)) {
    if (!found.startsWith(`${name}.`) || !found.endsWith(suffix)) continue;
    // An earlier version made it in its place, with this file beside it.
    if (found === `${name}${suffix}`) removeAll(directory);
    removeAll(join(parent, found));
  }
};

const removeAll = (path: string): void => rmSync(path, { recursive: true, force: true, maxRetries: 3 });

/** @param program sends what it fails with as an EmbeddedProblem */
export const makeInProcess = (
  directory: string,
  program = fileURLToPath(new URL("./database-maker.ts", import.meta.url)),
): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = fork(program, [directory], {
      ...launch([]),
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    endFirst(child);
    let problem: EmbeddedProblem | undefined;
    const fail = (how: string): void => reject(new EmbeddedFailure(problem ?? { message: how, code: "" }));
    guardChannel(child, (what) => fail(`its maker sent ${what}`));
    child.once("message", (message) => {
      problem = message as EmbeddedProblem;
      // PGlite may loop for ever once Postgres has ended (durable-fs.ts), and then it never ends by itself.
      child.kill("SIGKILL");
    });
    child.once("error", (cause) => fail(`its maker could not be started: ${cause.message}`));
    child.once("exit", (code, signal) => {
      if (code === 0) resolve();
      else fail(`its maker ended with ${signal === null ? `exit code ${code}` : `signal ${signal}`}`);
    });
  });
