/** How the service listens, and the limits of a call. docs/configuration.md lists all settings. */
import { Config, Context, Layer, Schema } from "effect";

import { type ConnectionLimits, connectionSettings, type SocketSettings } from "./connection-settings.ts";
import { corsSettings } from "./cors-settings.ts";
import { type TlsSettings, tlsSettings } from "./tls-settings.ts";
import { wholeNumber } from "./whole-number.ts";

export interface ServerSettings extends ConnectionLimits, SocketSettings {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The largest request message in bytes. */
  readonly maxMessageBytes: number;
  /** A longer deadline is reduced to this. */
  readonly maxDeadlineMs: number;
  /** The deadline of a call without one of its own. */
  readonly defaultDeadlineMs: number;
  /** How long calls are still accepted after SIGTERM, while health says NOT_SERVING. */
  readonly drainGraceMs: number;
  /** How long running calls may take to finish after that. */
  readonly drainMs: number;
  /** How long a stream may stay unread. */
  readonly stallMs: number;
  /**
   * If a Connect stream or gRPC-Web call waits longer than this, its headers are sent, so that proxies keep the
   * connection; 0: never.
   */
  readonly earlyHeadersMs: number;
  /** The same for gRPC, whose clients no longer retry the call after its headers. */
  readonly grpcEarlyHeadersMs: number;
  /** Origins of web pages that may call; `*` for any. Empty: none. */
  readonly corsOrigins: ReadonlyArray<string>;
  /** Request headers that such pages may send, in addition to those of the protocols and of tracing. */
  readonly corsHeaders: ReadonlyArray<string>;
  readonly reflection: boolean;
  /** Whether the load is reported in ORCA's format, with gRPC calls and by a service. */
  readonly loadReports: boolean;
  /** Where Prometheus finds /metrics: on the service's port, nowhere, or on this port. */
  readonly metrics: "on" | "off" | number;
  /** File for a line about each administrative call; undefined: they go to the log. */
  readonly auditLog: string | undefined;
  /** Undefined: the port speaks cleartext. */
  readonly tls: TlsSettings | undefined;
  /** Whether the operator confirms that other machines may reach the service without TLS or without keys. */
  readonly insecureBind: boolean;
}

export const serverSettings = Config.all({
  host: Config.String("MLXD_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: wholeNumber("MLXD_PORT", { minimum: 0, maximum: 65535, fallback: 50051 }),
  maxMessageBytes: wholeNumber("MLXD_MAX_MESSAGE_BYTES", {
    minimum: 1024,
    maximum: 64 * 1024 * 1024,
    fallback: 4 * 1024 * 1024,
  }),
  maxDeadlineMs: wholeNumber("MLXD_MAX_DEADLINE_MS", { minimum: 1000, maximum: 86_400_000, fallback: 3_600_000 }),
  defaultDeadlineMs: wholeNumber("MLXD_DEFAULT_DEADLINE_MS", { minimum: 1000, maximum: 86_400_000, fallback: 600_000 }),
  drainGraceMs: wholeNumber("MLXD_DRAIN_GRACE_MS", { minimum: 0, maximum: 600_000, fallback: 0 }),
  drainMs: wholeNumber("MLXD_DRAIN_MS", { minimum: 0, maximum: 600_000, fallback: 30_000 }),
  stallMs: wholeNumber("MLXD_STALL_MS", { minimum: 100, maximum: 600_000, fallback: 30_000 }),
  earlyHeadersMs: wholeNumber("MLXD_EARLY_HEADERS_MS", { minimum: 0, maximum: 600_000, fallback: 10_000 }),
  grpcEarlyHeadersMs: wholeNumber("MLXD_GRPC_EARLY_HEADERS_MS", { minimum: 0, maximum: 600_000, fallback: 0 }),
  ...corsSettings,
  ...connectionSettings,
  reflection: Config.Boolean("MLXD_REFLECTION").pipe(Config.withDefault(true)),
  loadReports: Config.Boolean("MLXD_LOAD_REPORTS").pipe(Config.withDefault(true)),
  metrics: Config.schema(
    Schema.String.check(Schema.makeFilter((text) => metricsFrom(text) !== undefined || "on, off, or a port 1..65535")),
    "MLXD_METRICS",
  ).pipe(
    Config.withDefault("on"),
    Config.map((text) => metricsFrom(text) ?? "off"),
  ),
  auditLog: Config.String("MLXD_AUDIT_LOG").pipe(
    Config.withDefault(""),
    Config.map((path) => (path === "" ? undefined : path)),
  ),
  tls: tlsSettings,
  insecureBind: Config.Boolean("MLXD_INSECURE_BIND").pipe(Config.withDefault(false)),
});

export class ServerConfig extends Context.Service<ServerConfig, ServerSettings>()("mlxd/config/ServerConfig") {
  static readonly layer = Layer.effect(ServerConfig, serverSettings);
}

/** Undefined for an invalid value. */
const metricsFrom = (text: string): ServerSettings["metrics"] | undefined => {
  if (text === "on" || text === "off") return text;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
};
