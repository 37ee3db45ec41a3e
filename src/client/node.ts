/** The client for Node: gRPC over HTTP/2, or Connect. */
import http from "node:http";
import https from "node:https";
import { connect as connectSocket } from "node:net";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { checkBaseUrl } from "./base-url.ts";
import type { CacheClient } from "./cache/cache.ts";
import { createCacheClient } from "./cache/create-cache.ts";
import type { CatalogClient } from "./catalog/catalog.ts";
import { createCatalogClient } from "./catalog/create-catalog.ts";
import { checkChoice, checkKeys, checkObject, checkWhole } from "./check.ts";
import type { MlxdClient } from "./client.ts";
import type { ClientOptions } from "./client-options.ts";
import { createParts } from "./create-client.ts";
import { decodeError } from "./decode-error.ts";
import { createDiagnosticsClient } from "./diagnostics/create-diagnostics.ts";
import type { DiagnosticsClient } from "./diagnostics/diagnostics.ts";
import { invalidField } from "./errors.ts";
import { createJobsClient } from "./jobs/create-jobs.ts";
import type { JobsClient } from "./jobs/jobs.ts";
import { createPool } from "./node/http2-pool.ts";

export * from "./index.ts";
export type {
  CacheClient,
  CachedModel,
  CacheLimits,
  CacheResize,
  CacheStats,
  CacheStatsOptions,
  ClearCacheOptions,
  ClearedCache,
  ClearedPrefixCaches,
  ClearPrefixesOptions,
  RemovedModel,
  RemoveModelOptions,
  ResizedCache,
} from "./cache/cache.ts";
export type {
  BackendEntry,
  CatalogClient,
  CatalogEntry,
  CatalogEntryName,
  CatalogEntryOptions,
  EntryChange,
  ModelEntry,
} from "./catalog/catalog.ts";
export type {
  DiagnosticsClient,
  EngineTasks,
  ModelTasks,
  PartsHealth,
  PartState,
  ServicePart,
  SupportedTasks,
  SupportedTasksOptions,
  TaskKind,
} from "./diagnostics/diagnostics.ts";
export type {
  CreateJobOptions,
  Job,
  JobAttempt,
  JobCounts,
  JobEvent,
  JobItem,
  JobOptions,
  JobResult,
  JobResultsOptions,
  JobsClient,
  ListJobItemsOptions,
  ListJobsOptions,
  StreamedJobOptions,
  StreamTaskOptions,
  WatchJobOptions,
} from "./jobs/jobs.ts";
export type { GenerationRestarted, JobStream, JobStreamEvent } from "./jobs/job-stream.ts";
export type { JobState } from "./enum-names.ts";

/** Trusted authorities and the client certificate, for TLS. */
export type TlsOptions = Pick<SecureContextOptions, "ca" | "cert" | "key" | "passphrase">;

/** Options of {@link createMlxdClient}. */
export interface NodeClientOptions extends ClientOptions {
  /**
   * Where the service listens: a URL, or a Unix socket as `unix:/run/mlxd.sock`.
   * @default "http://127.0.0.1:50051"
   */
  readonly baseUrl?: string | URL | undefined;
  /**
   * The protocol: gRPC over HTTP/2, Connect over HTTP/2, or Connect over HTTP/1.1 for networks that allow nothing else.
   * @default "grpc"
   */
  readonly protocol?: "grpc" | "connect" | "connect-http1" | undefined;
  /**
   * TLS options for an https address, e.g. `ca`, `cert` and `key`.
   * @default the system's certificate authorities, and no client certificate
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * HTTP/2: number of connections; each call uses the one with the fewest calls. One is usually enough. More help if the
   * bandwidth or the number of streams of one connection is the limit, or if a load balancer distributes connections.
   * @default 1
   */
  readonly connections?: number | undefined;
  /**
   * HTTP/2: how often to ping a connection that has calls, in milliseconds.
   * @default 60000
   */
  readonly pingIntervalMs?: number | undefined;
  /**
   * HTTP/2: how long a ping may take before its connection counts as dead, in milliseconds.
   * @default 15000
   */
  readonly pingTimeoutMs?: number | undefined;
  /**
   * HTTP/2: when to close a connection without calls, in milliseconds. Should be less than the idle timeout of load balancers.
   * @default 180000
   */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /**
   * Largest message to accept, in bytes.
   * @default 67108864
   */
  readonly readMaxBytes?: number | undefined;
}

/** A client for Node. */
export interface NodeClient extends MlxdClient {
  /** Durable jobs: many tasks that the service runs in the background, across restarts. */
  readonly jobs: JobsClient;

  /** The models and prefix caches in memory: their use, their limits, and clearing them. */
  readonly cache: CacheClient;

  /** Backends and models that are added, changed and removed while the service runs. */
  readonly catalog: CatalogClient;

  /** What the service can do, and the state of its parts. */
  readonly diagnostics: DiagnosticsClient;

  /** Opens the connections, so that the first calls do not wait for them. With HTTP/1.1 it does nothing. */
  connect(): Promise<void>;
}

/** Makes a client for Node. Its connections are opened by the first calls and do not keep the program running. */
export const createMlxdClient = (options: NodeClientOptions = {}): NodeClient => {
  checkObject(options, "options");
  const { baseUrl, protocol = "grpc", tls = {}, ...others } = options;
  const {
    connections = 1,
    pingIntervalMs = 60_000,
    pingTimeoutMs = 15_000,
    idleConnectionTimeoutMs = 180_000,
    readMaxBytes = 64 * 1024 * 1024,
    ...clientOptions
  } = others;
  checkChoice(protocol, "protocol", protocols);
  const connection = {
    ...placeOf(baseUrl),
    tls: checkTls(tls),
    connections: checkWhole(connections, "connections", 1, maxConnections),
    pingTimeoutMs: checkWhole(pingTimeoutMs, "pingTimeoutMs", 1, maxTimerMs),
    pingIntervalMs: checkWhole(pingIntervalMs, "pingIntervalMs", 1, maxTimerMs),
    idleConnectionTimeoutMs: checkWhole(idleConnectionTimeoutMs, "idleConnectionTimeoutMs", 1, maxTimerMs),
    readMaxBytes: checkWhole(readMaxBytes, "readMaxBytes", 1),
  };
  const opened = protocol === "connect-http1" ? overHttp1(connection) : overHttp2(connection, protocol);
  const { client, caller, transport } = createParts(opened.transport, clientOptions, opened.close);
  return {
    ...client,
    cache: createCacheClient(caller, transport),
    catalog: createCatalogClient(caller, transport),
    diagnostics: createDiagnosticsClient(caller, transport),
    jobs: createJobsClient(caller, transport),
    connect: opened.connect,
  };
};

const protocols = ["grpc", "connect", "connect-http1"] as const;

/** A larger number would be a mistake: each connection is a socket of the service. */
const maxConnections = 100;

/** The limit of Node's timers. A longer time would elapse immediately. */
const maxTimerMs = 2 ** 31 - 1;

const checkTls = (tls: unknown): TlsOptions => {
  checkKeys(checkObject(tls, "tls"), "tls", ["ca", "cert", "key", "passphrase"], "option");
  try {
    createSecureContext(tls as TlsOptions);
  } catch (error) {
    throw invalidField(
      "tls",
      `no TLS context can be made of it: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return tls as TlsOptions; // a context was made of it
};

/** The address of a socket has no host: its calls use `localhost`. */
const placeOf = (baseUrl: unknown): Pick<Connection, "baseUrl" | "socketPath"> => {
  const text = baseUrl instanceof URL ? baseUrl.href : baseUrl;
  if (typeof text !== "string" || !/^unix:/i.test(text))
    return { baseUrl: checkBaseUrl(baseUrl), socketPath: undefined };
  const socketPath = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  if (socketPath === "")
    throw invalidField("baseUrl", "it names no socket: write unix: and a path, e.g. unix:/run/mlxd.sock");
  return { baseUrl: "http://localhost", socketPath };
};

interface Connection {
  readonly baseUrl: string;
  /** Undefined: it is no Unix socket. */
  readonly socketPath: string | undefined;
  readonly tls: TlsOptions;
  readonly connections: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly idleConnectionTimeoutMs: number;
  readonly readMaxBytes: number;
}

interface OpenTransport {
  readonly transport: Transport;
  readonly connect: () => Promise<void>;
  readonly close: () => void;
}

const overHttp2 = (connection: Connection, protocol: "grpc" | "connect" = "grpc"): OpenTransport => {
  const { baseUrl, socketPath, tls, readMaxBytes, connections, ...pings } = connection;
  const session = socketPath === undefined ? tls : { createConnection: () => connectSocket(socketPath) };
  const managers = Array.from({ length: connections }, () => new Http2SessionManager(baseUrl, pings, session));
  const transports = managers.map((sessionManager) => {
    const common = { baseUrl, sessionManager, readMaxBytes };
    return protocol === "grpc" ? createGrpcTransport(common) : createConnectTransport({ ...common, httpVersion: "2" });
  });
  const [only] = transports;
  return {
    transport: only !== undefined && transports.length === 1 ? only : createPool(transports),
    connect: async () => void (await Promise.all(managers.map(open))),
    close: () => managers.forEach((manager) => manager.abort()),
  };
};

const open = async (manager: Http2SessionManager): Promise<void> => {
  if ((await manager.connect()) === "error") throw decodeError(ConnectError.from(manager.error(), Code.Unavailable));
};

const overHttp1 = ({ baseUrl, socketPath, tls, readMaxBytes }: Connection): OpenTransport => {
  // Its own agent, so that closing this client does not close the connections of others.
  const agent = baseUrl.startsWith("https:")
    ? new https.Agent({ keepAlive: true })
    : new http.Agent({ keepAlive: true });
  const nodeOptions = { ...tls, agent, ...(socketPath !== undefined && { socketPath }) };
  const transport = createConnectTransport({ baseUrl, readMaxBytes, httpVersion: "1.1", nodeOptions });
  return { transport, connect: () => Promise.resolve(), close: () => agent.destroy() };
};
