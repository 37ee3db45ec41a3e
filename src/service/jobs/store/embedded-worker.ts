/**
 * The thread that runs the embedded Postgres, so that statements and disk flushes do not block the service's calls.
 * PGlite is Postgres as WebAssembly; out of the box it never flushes its writes to disk. Here it does.
 */
import { fsyncSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";

import type { EmbeddedAnswer, EmbeddedRequest } from "./embedded-protocol.ts";

let syncs = 0;

/**
 * The parts of Emscripten's file system that are used. They are not an API of PGlite, which is why its version is
 * pinned.
 */
interface Emscripten {
  readonly NODEFS: { readonly stream_ops: { fsync?: (stream: { readonly nfd: number }) => void } };
}

class DurableFS extends NodeFS {
  override async init(...[pglite, options]: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(pglite, options);
    const hook = (module: unknown): void => {
      (module as Emscripten).NODEFS.stream_ops.fsync = ({ nfd }) => {
        syncs += 1;
        fsyncSync(nfd);
      };
    };
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), hook] } };
  }
}

/** PGlite's own parameters without -F ("no fsync"), and with buffer sizes that suit a queue. */
const startParams = [
  ...PGlite.defaultStartParams.filter((each) => each !== "-F"),
  ...["wal_sync_method=fsync", "shared_buffers=8MB"].flatMap((setting) => ["-c", setting]),
];

const { directory } = workerData as { readonly directory: string };
const opened = PGlite.create({ fs: new DurableFS(directory), startParams });
opened.then(
  () => answer({ id: 0, rows: [], syncs }),
  (error: unknown) => answer(failed(0, error)),
);

const answer = (message: EmbeddedAnswer): void => parentPort?.postMessage(message);

const failed = (id: number, error: unknown): EmbeddedAnswer => {
  const { message, code } = error as { readonly message?: unknown; readonly code?: unknown };
  return { id, error: { message: String(message ?? error), code: typeof code === "string" ? code : "" } };
};

const run = async ({ id, text, values }: EmbeddedRequest): Promise<EmbeddedAnswer> => {
  const pglite = await opened;
  const before = syncs;
  if (values.length > 0) {
    const { rows } = await pglite.query<Record<string, unknown>>(text, [...values]);
    return { id, rows, syncs: syncs - before };
  }
  const results = await pglite.exec(text);
  return { id, rows: results.flatMap(({ rows }) => rows), syncs: syncs - before };
};

parentPort?.on("message", (request: EmbeddedRequest | "close") => {
  if (request === "close") {
    void opened.then((pglite) => pglite.close()).finally(() => process.exit(0));
    return;
  }
  run(request).then(answer, (error: unknown) => answer(failed(request.id, error)));
});
