import { readFile } from "node:fs/promises";
import { createMlxdClient, type NodeClient } from "../client/node.ts";
import { CommandFailed, Interrupted } from "./failures.ts";

/** What every command that talks to a service is told. */
export interface ConnectionOptions {
  readonly server: string;
  /** In milliseconds. */
  readonly timeout?: number | undefined;
  readonly header?: Headers | undefined;
  /** Holds the API key, and counts before it. */
  readonly keyFile?: string | undefined;
  readonly apiKey?: string | undefined;
}

/** A client for these options. */
export const openClient = ({ server, timeout, header, keyFile, apiKey }: ConnectionOptions): NodeClient =>
  createMlxdClient({
    baseUrl: server,
    timeoutMs: timeout,
    headers: header,
    credentials: keyFile === undefined ? apiKey : () => readKey(keyFile),
  });

/** Read again when the service refuses it: a chat goes on with the key that has taken its place. */
const readKey = async (path: string): Promise<string> => {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new CommandFailed(`the key file cannot be read (${cause.code ?? cause.message})`);
  });
  if (text.trim() === "") throw new CommandFailed("the key file is empty");
  return text.trim();
};

/**
 * Runs a command's calls. Ctrl-C fires the signal, which ends them on the server, and then the command with
 * {@link Interrupted}; a second Ctrl-C ends the process.
 */
export const withClient = async <T>(
  options: ConnectionOptions,
  run: (client: NodeClient, signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const interruption = new AbortController();
  const onInterrupt = (): void => interruption.abort();
  process.once("SIGINT", onInterrupt);
  using client = openClient(options);
  try {
    return await run(client, interruption.signal);
  } catch (error) {
    throw interruption.signal.aborted ? new Interrupted() : error;
  } finally {
    process.removeListener("SIGINT", onInterrupt);
  }
};
