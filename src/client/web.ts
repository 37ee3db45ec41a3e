/** The client for browsers, Deno, edge runtimes, and whatever else has `fetch`: Connect over HTTP. */
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { anyTypes } from "./any-types.ts";
import { checkBaseUrl } from "./base-url.ts";
import { checkChoice, checkObject, checkWhole, show } from "./check.ts";
import type { MlxdClient } from "./client.ts";
import type { ClientOptions } from "./client-options.ts";
import { createMlxdClientFromTransport } from "./create-client.ts";
import { invalidField } from "./errors.ts";
import { Leaving } from "./leaving.ts";
import { limitBody } from "./limit-body.ts";

export * from "./index.ts";

/** Options of {@link createMlxdClient}. */
export interface WebClientOptions extends ClientOptions {
  /**
   * Where the service listens.
   * @default "http://127.0.0.1:50051"
   */
  readonly baseUrl?: string | URL | undefined;
  /**
   * How messages are encoded. JSON is easier to read in a browser's network panel, and larger.
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
  checkChoice(format, "format", ["binary", "json"], "format");
  if (typeof fetch !== "function") throw invalidField("fetch", `${show(fetch)} is no function`);
  const transport = createConnectTransport({
    baseUrl: checkBaseUrl(baseUrl),
    useBinaryFormat: format === "binary",
    jsonOptions: { registry: anyTypes },
    fetch: guarded(fetch, readMaxBytes),
  });
  return createMlxdClientFromTransport(transport, clientOptions);
};

/**
 * A fetch for any runtime. Connect asks it to fail on redirects, which some edge runtimes refuse to be asked; so it
 * answers with the redirect and that is made the error. `mode` and `credentials` are refused there too, and not set.
 */
const guarded =
  (fetch: typeof globalThis.fetch, readMaxBytes: number): typeof globalThis.fetch =>
  async (input, init) => {
    const leaving = new Leaving(init?.signal);
    const response = await fetch(input, { ...init, signal: leaving.signal, redirect: "manual" });
    if (response.type !== "opaqueredirect" && (response.status < 300 || response.status > 399)) {
      return limitBody(response, readMaxBytes, leaving.read);
    }
    await response.body?.cancel();
    const target = response.headers.get("location") ?? "another address";
    throw new ConnectError(`HTTP 3xx: redirected to ${target}; call that address itself`, Code.Unknown);
  };
