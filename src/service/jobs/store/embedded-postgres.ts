/** How the embedded Postgres is started, and what it fails with, as plain data. */
import { PGlite } from "@electric-sql/pglite";

import type { EmbeddedProblem } from "./embedded-protocol.ts";

/** PGlite's own parameters without -F ("no fsync"), and with buffer sizes that suit a queue. */
export const startParams = [
  ...PGlite.defaultStartParams.filter((each) => each !== "-F"),
  ...["wal_sync_method=fsync", "shared_buffers=8MB"].flatMap((setting) => ["-c", setting]),
];

/** Errors of Emscripten's file system have only a number, as WASI counts them. */
const systemCodes = new Map([
  [2, "EACCES"],
  [19, "EDQUOT"],
  [51, "ENOSPC"],
  [63, "EPERM"],
  [69, "EROFS"],
]);

export const problemOf = (error: unknown): EmbeddedProblem => {
  const { name, message, code, errno } = error as Readonly<Record<string, unknown>>;
  const text = typeof code === "string" ? code : (systemCodes.get(Number(errno)) ?? "");
  if (typeof message === "string" && message !== "") return { message, code: text };
  return { message: `${typeof name === "string" ? name : String(error)} ${text}`.trim(), code: text };
};

/** The last lines that Postgres wrote to its log, which say what it ended with. */
export class LastLines {
  private readonly lines: string[] = [];

  /** For `onStderr` of PGlite. */
  readonly keep = (line: string): boolean => {
    this.lines.push(line);
    if (this.lines.length > kept) this.lines.shift();
    return false;
  };

  explain(error: unknown): EmbeddedProblem {
    const { message, code } = problemOf(error);
    return { message: [message, ...this.lines].join("; "), code };
  }
}

const kept = 8;
