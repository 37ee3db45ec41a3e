/**
 * The thread that runs the embedded Postgres, so that statements and disk flushes do not block the service's calls.
 * PGlite is Postgres as WebAssembly.
 */
import { parentPort, workerData } from "node:worker_threads";
import { messages, PGlite } from "@electric-sql/pglite";

import { DurableFS } from "./durable-fs.ts";
import { LastLines, problemOf, startParams } from "./embedded-postgres.ts";
import type { EmbeddedAnswer, EmbeddedRequest } from "./embedded-protocol.ts";

const { directory } = workerData as { readonly directory: string };

const answer = (message: EmbeddedAnswer): void => parentPort?.postMessage(message);

const lastLines = new LastLines();

const lost = (error: unknown): void => answer({ lost: lastLines.explain(error) });

const open = async () => {
  const files = new DurableFS(directory, lost);
  const pglite = await PGlite.create({ fs: files, startParams, onStderr: lastLines.keep });
  return { pglite, files };
};
const opened = open();
opened.then(() => answer({ id: 0, rows: [], syncs: 0 }), lost);

/**
 * Whether only the statement failed. Where Postgres did not say so itself, as with a value that PGlite cannot write, it is
 * asked: what has ended Postgres was told by `DurableFS` before, and the service ends this thread.
 */
const isOfStatement = async (error: unknown): Promise<boolean> => {
  if (error instanceof messages.DatabaseError) return error.severity !== "FATAL" && error.severity !== "PANIC";
  const { pglite } = await opened;
  return pglite.query("SELECT 1").then(
    () => true,
    (answered: unknown) => answered instanceof messages.DatabaseError && answered.code === inFailedTransaction,
  );
};

/** SQLSTATE in_failed_sql_transaction: it is alive to refuse it. */
const inFailedTransaction = "25P02";

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
  run(request).then(answer, async (error: unknown) => {
    if (await isOfStatement(error)) answer({ id: request.id, error: problemOf(error) });
    else lost(error);
  });
});
