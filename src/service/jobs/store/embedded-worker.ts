/**
 * The thread that runs the embedded Postgres, so that statements and disk flushes do not block the service's calls.
 * PGlite is Postgres as WebAssembly.
 */
import { parentPort, workerData } from "node:worker_threads";
import { messages, PGlite } from "@electric-sql/pglite";

import { beginMaking } from "./begin-making.ts";
import { DurableFS } from "./durable-fs.ts";
import type { EmbeddedAnswer, EmbeddedProblem, EmbeddedRequest } from "./embedded-protocol.ts";

/** PGlite's own parameters without -F ("no fsync"), and with buffer sizes that suit a queue. */
const startParams = [
  ...PGlite.defaultStartParams.filter((each) => each !== "-F"),
  ...["wal_sync_method=fsync", "shared_buffers=8MB"].flatMap((setting) => ["-c", setting]),
];

const { directory } = workerData as { readonly directory: string };

const answer = (message: EmbeddedAnswer): void => parentPort?.postMessage(message);

/** The last lines that Postgres wrote to its log: what it ended with. */
const lastLines: string[] = [];
const keepLine = (line: string): boolean => {
  lastLines.push(line);
  if (lastLines.length > 8) lastLines.shift();
  return false;
};

const lost = (error: unknown): void => {
  const { message, code } = problemOf(error);
  answer({ lost: { message: [message, ...lastLines].join("; "), code } });
};

/** Errors of Emscripten's file system have only a number, as WASI counts them. */
const systemCodes = new Map([
  [2, "EACCES"],
  [19, "EDQUOT"],
  [51, "ENOSPC"],
  [63, "EPERM"],
  [69, "EROFS"],
]);

const problemOf = (error: unknown): EmbeddedProblem => {
  const { message, code, errno } = error as Readonly<Record<string, unknown>>;
  const text = typeof code === "string" ? code : (systemCodes.get(Number(errno)) ?? "");
  return { message: typeof message === "string" ? message : `${String(error)} ${text}`, code: text };
};

const open = async () => {
  const made = beginMaking(directory);
  const files = new DurableFS(directory, lost);
  const pglite = await PGlite.create({ fs: files, startParams, onStderr: keepLine });
  made();
  return { pglite, files };
};
const opened = open();
opened.then(({ files: { syncs } }) => answer({ id: 0, rows: [], syncs }), lost);

/** Whether only the statement failed. */
const isOfStatement = (error: unknown): boolean =>
  error instanceof messages.DatabaseError && error.severity !== "FATAL" && error.severity !== "PANIC";

const run = async ({ id, text, values }: EmbeddedRequest): Promise<EmbeddedAnswer> => {
  const { pglite, files } = await opened;
  const before = files.syncs;
  if (values.length > 0) {
    const { rows } = await pglite.query<Record<string, unknown>>(text, [...values]);
    return { id, rows, syncs: files.syncs - before };
  }
  const results = await pglite.exec(text);
  return { id, rows: results.flatMap(({ rows }) => rows), syncs: files.syncs - before };
};

parentPort?.on("message", (request: EmbeddedRequest | "close") => {
  if (request === "close") {
    void opened.then(({ pglite }) => pglite.close()).finally(() => process.exit(0));
    return;
  }
  run(request).then(answer, (error: unknown) => {
    if (isOfStatement(error)) answer({ id: request.id, error: problemOf(error) });
    else lost(error);
  });
});
