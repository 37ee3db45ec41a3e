/** The client for Node: gRPC over HTTP/2, or Connect. */
import http from "node:http";
import https from "node:https";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { checkBaseUrl } from "./base-url.ts";
import { checkChoice, checkKeys, checkObject, checkWhole } from "./check.ts";
import type { MlxdClient } from "./client.ts";
import type { ClientOptions } from "./client-options.ts";
import { createMlxdClientFromTransport } from "./create-client.ts";
import { invalidField } from "./errors.ts";

export * from "./index.ts";

/** Whom to trust, and who to be, over TLS. */
export type TlsOptions = Pick<SecureContextOptions, "ca" | "cert" | "key" | "passphrase">;

/** Options of {@link createMlxdClient}. */
export interface NodeClientOptions extends ClientOptions {
  /**
   * Where the service listens.
   * @default "http://127.0.0.1:50051"
   */
  readonly baseUrl?: string | URL | undefined;
  /**
   * What is spoken: gRPC over HTTP/2, Connect over HTTP/2, or Connect over HTTP/1.1 for networks that let nothing else
   * through.
   * @default "grpc"
   */
  readonly protocol?: "grpc" | "connect" | "connect-http1" | undefined;
  /**
   * TLS options for an https address, e.g. `ca`, `cert` and `key`.
   * @default the system's certificate authorities, no client certificate
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * HTTP/2: how often to see whether a connection with calls on it is alive, in milliseconds.
   * @default 60000
   */
  readonly pingIntervalMs?: number | undefined;
  /**
   * HTTP/2: when to close a connection without calls, in milliseconds. Less than what load balancers allow.
   * @default 180000
   */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /**
   * Largest message to accept, in bytes.
   * @default 67108864
   */
  readonly readMaxBytes?: number | undefined;
}

/** Makes a client for Node. Its connection is opened by the first call and does not keep a program from ending. */
export const createMlxdClient = (options: NodeClientOptions = {}): MlxdClient => {
  checkObject(options, "options");
  const { baseUrl, protocol = "grpc", tls = {}, ...others } = options;
  const {
    pingIntervalMs = 60_000,
    idleConnectionTimeoutMs = 180_000,
    readMaxBytes = 64 * 1024 * 1024,
    ...clientOptions
  } = others;
  checkChoice(protocol, "protocol", protocols, "protocol");
  const connection = {
    baseUrl: checkBaseUrl(baseUrl),
    tls: checkTls(tls),
    pingIntervalMs: checkWhole(pingIntervalMs, "pingIntervalMs", 1, maxTimerMs),
    idleConnectionTimeoutMs: checkWhole(idleConnectionTimeoutMs, "idleConnectionTimeoutMs", 1, maxTimerMs),
    readMaxBytes: checkWhole(readMaxBytes, "readMaxBytes", 1),
  };
  const { transport, close } = protocol === "connect-http1" ? overHttp1(connection) : overHttp2(connection, protocol);
  return createMlxdClientFromTransport(transport, clientOptions, close);
};

const protocols = ["grpc", "connect", "connect-http1"] as const;

/** What Node's timers count to. A longer time would pass at once. */
const maxTimerMs = 2 ** 31 - 1;

const checkTls = (tls: unknown): TlsOptions => {
  checkKeys(checkObject(tls, "tls"), "tls", ["ca", "cert", "key", "passphrase"], "option");
  try {
    createSecureContext(tls as TlsOptions);
  } catch (error) {
    throw invalidField("tls", `it makes no TLS context: ${error instanceof Error ? error.message : String(error)}`);
  }
  return tls as TlsOptions; // what makes a context of its own
};

interface Connection {
  readonly baseUrl: string;
  readonly tls: TlsOptions;
  readonly pingIntervalMs: number;
  readonly idleConnectionTimeoutMs: number;
  readonly readMaxBytes: number;
}

interface OpenTransport {
  readonly transport: Transport;
  readonly close: () => void;
}

const overHttp2 = (connection: Connection, protocol: "grpc" | "connect" = "grpc"): OpenTransport => {
  const { baseUrl, tls, readMaxBytes, ...pings } = connection;
  const sessionManager = new Http2SessionManager(baseUrl, pings, tls);
  const common = { baseUrl, sessionManager, readMaxBytes };
  const transport =
    protocol === "grpc" ? createGrpcTransport(common) : createConnectTransport({ ...common, httpVersion: "2" });
  return { transport, close: () => sessionManager.abort() };
};

const overHttp1 = ({ baseUrl, tls, readMaxBytes }: Connection): OpenTransport => {
  // An agent of its own, so that closing this client closes no other's connections.
  const agent = baseUrl.startsWith("https:")
    ? new https.Agent({ keepAlive: true })
    : new http.Agent({ keepAlive: true });
  const nodeOptions = { ...tls, agent };
  const transport = createConnectTransport({ baseUrl, readMaxBytes, httpVersion: "1.1", nodeOptions });
  return { transport, close: () => agent.destroy() };
};
