import { readFile } from "node:fs/promises";
import { createMlxdClient, type NodeClient } from "../client/node.ts";
import { CommandFailed, Interrupted } from "./failures.ts";

/** The options of every command that calls a service. */
export interface ConnectionOptions {
  readonly server: string;
  /** In milliseconds. */
  readonly timeout?: number | undefined;
  readonly header?: Headers | undefined;
  /** File with the API key, which takes precedence over it. */
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

/** Read again when the service rejects it, so that a chat continues with a replaced key. */
const readKey = async (path: string): Promise<string> => {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new CommandFailed(`the key file cannot be read (${cause.code ?? cause.message})`);
  });
  if (text.trim() === "") throw new CommandFailed("the key file is empty");
  return text.trim();
};

/**
 * Runs a command's calls. Ctrl-C fires the signal, which ends the calls on the server, and then ends the command with
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
