/** How the service listens and what it allows a call. Read from the environment; docs/configuration.md lists all. */
import { Config, Context, Layer, Schema } from "effect";

import { corsSettings } from "./cors-settings.ts";
import { type TlsSettings, tlsSettings } from "./tls-settings.ts";
import { wholeNumber } from "./whole-number.ts";

export interface ServerSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Bytes of a request message. */
  readonly maxMessageBytes: number;
  /** A longer deadline is cut to this. */
  readonly maxDeadlineMs: number;
  /** Deadline of a call that brings none. */
  readonly defaultDeadlineMs: number;
  /** How long calls are still taken after SIGTERM, while health says NOT_SERVING. */
  readonly drainGraceMs: number;
  /** How long running calls may take to finish after that. */
  readonly drainMs: number;
  /** How long a stream may stay unread. */
  readonly stallMs: number;
  /** A Connect stream or gRPC-Web call that waits for longer has its headers sent, so that proxies keep it; 0: never. */
  readonly earlyHeadersMs: number;
  /** The same of gRPC, whose clients then no longer retry the call. */
  readonly grpcEarlyHeadersMs: number;
  /** Origins of web pages that may call; `*` for any. Empty: none. */
  readonly corsOrigins: ReadonlyArray<string>;
  /** Request headers of such pages, beside those of the protocols and of tracing. */
  readonly corsHeaders: ReadonlyArray<string>;
  readonly reflection: boolean;
  /** Whether gRPC calls, and a service of its own, tell the load as ORCA has it. */
  readonly loadReports: boolean;
  /** Where Prometheus finds /metrics: on the service's port, nowhere, or on this port. */
  readonly metrics: "on" | "off" | number;
  /** Undefined: the port speaks cleartext. */
  readonly tls: TlsSettings | undefined;
  /** Whether it is meant that others than this machine reach the service without TLS or without keys. */
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
  reflection: Config.Boolean("MLXD_REFLECTION").pipe(Config.withDefault(true)),
  loadReports: Config.Boolean("MLXD_LOAD_REPORTS").pipe(Config.withDefault(true)),
  metrics: Config.schema(
    Schema.String.check(Schema.makeFilter((text) => metricsFrom(text) !== undefined || "on, off, or a port 1..65535")),
    "MLXD_METRICS",
  ).pipe(
    Config.withDefault("on"),
    Config.map((text) => metricsFrom(text) ?? "off"),
  ),
  tls: tlsSettings,
  insecureBind: Config.Boolean("MLXD_INSECURE_BIND").pipe(Config.withDefault(false)),
});

export class ServerConfig extends Context.Service<ServerConfig, ServerSettings>()("mlxd/config/ServerConfig") {
  static readonly layer = Layer.effect(ServerConfig, serverSettings);
}

/** Undefined for what is none of them. */
const metricsFrom = (text: string): ServerSettings["metrics"] | undefined => {
  if (text === "on" || text === "off") return text;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
};
