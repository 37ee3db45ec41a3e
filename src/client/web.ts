/** The client for browsers, Deno, edge runtimes and everything else that has `fetch`: Connect over HTTP. */
import { checkBaseUrl } from "./base-url.ts";
import { checkChoice, checkObject, checkWhole, show } from "./check.ts";
import type { MlxdClient } from "./client.ts";
import type { ClientOptions } from "./client-options.ts";
import { createMlxdClientFromTransport } from "./create-client.ts";
import { invalidField } from "./errors.ts";
import { createFetchTransport } from "./fetch/transport.ts";

export * from "./index.ts";

/** Options of {@link createMlxdClient}. */
export interface WebClientOptions extends ClientOptions {
  /**
   * Where the service listens.
   * @default "http://127.0.0.1:50051"
   */
  readonly baseUrl?: string | URL | undefined;
  /**
   * The encoding of messages. JSON is easier to read in a browser's network panel, but larger.
   * @default "binary"
   */
  readonly format?: "binary" | "json" | undefined;
  /**
   * Largest message to accept, in bytes.
   * @default 67108864
   */
  readonly readMaxBytes?: number | undefined;
  /**
   * The function that makes the HTTP requests.
   * @default the runtime's `fetch`
   */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Makes a client that calls the service with `fetch`. */
export const createMlxdClient = (options: WebClientOptions = {}): MlxdClient => {
  checkObject(options, "options");
  const { baseUrl, format = "binary", fetch = globalThis.fetch, ...others } = options;
  const { readMaxBytes = 64 * 1024 * 1024, ...clientOptions } = others;
  checkWhole(readMaxBytes, "readMaxBytes", 1);
  checkChoice(format, "format", ["binary", "json"]);
  if (typeof fetch !== "function") throw invalidField("fetch", `${show(fetch)} is not a function`);
  const transport = createFetchTransport({ baseUrl: checkBaseUrl(baseUrl), format, readMaxBytes, fetch });
  return createMlxdClientFromTransport(transport, clientOptions);
};
