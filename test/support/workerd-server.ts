/** A worker that workerd serves over HTTP. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { endWithThisProcess } from "./end-with-this-process.ts";

export interface WorkerdServer extends AsyncDisposable {
  readonly url: string;
  /** What it has said of errors, of very much the end. */
  readonly errors: () => string;
}

/**
 * Serves the service `main` of this configuration until it is disposed of. workerd chooses the port and tells it: one that was free
 * a moment ago may be taken by then, if only by a connection of somebody else.
 *
 * @param services the services in the syntax of its configuration; files are those of the folder
 */
export const serveInWorkerd = async (program: string, folder: string, services: string): Promise<WorkerdServer> => {
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services}],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);`;
  await writeFile(join(folder, "workerd.capnp"), config);
  const child = spawn(program, ["serve", "workerd.capnp", "--control-fd=3"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  endWithThisProcess(child);
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  const ended = once(child, "exit").then(([code]) => `workerd ended with ${String(code)}:\n${errors}`);
  const told = once(createInterface({ input: child.stdio[3] as Readable }), "line").then(([line]) => line as string);
  const first = await Promise.race([told, ended]);
  if (!first.startsWith("{")) throw new Error(first);
  const { port } = JSON.parse(first) as { readonly port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    errors: () => errors,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
};
