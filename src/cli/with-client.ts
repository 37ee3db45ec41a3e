import { createMlxdClient, type MlxdClient } from "../client/node.ts";
import { Interrupted } from "./failures.ts";

/** What every command that talks to a service is told. */
export interface ConnectionOptions {
  readonly server: string;
  /** In milliseconds. */
  readonly timeout?: number | undefined;
  readonly header?: Headers | undefined;
}

/** A client for these options. */
export const openClient = ({ server, timeout, header }: ConnectionOptions): MlxdClient =>
  createMlxdClient({ baseUrl: server, timeoutMs: timeout, headers: header });

/**
 * Runs a command's calls. Ctrl-C fires the signal, which ends them on the server, and then the command with
 * {@link Interrupted}; a second Ctrl-C ends the process.
 */
export const withClient = async <T>(
  options: ConnectionOptions,
  run: (client: MlxdClient, signal: AbortSignal) => Promise<T>,
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
