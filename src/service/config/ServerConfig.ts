/** How the service listens and what it allows a call. Read from the environment; docs/configuration.md lists all. */
import { Config, Context, Layer } from "effect";

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
  /** How long running calls may take to finish after SIGTERM. */
  readonly drainMs: number;
  /** How long a stream may stay unread. */
  readonly stallMs: number;
  /** Origins of web pages that may call; `*` for any. Empty: none. */
  readonly corsOrigins: ReadonlyArray<string>;
  readonly reflection: boolean;
}

const settings = Config.all({
  host: Config.String("MLXD_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.Port("MLXD_PORT").pipe(Config.withDefault(50051)),
  maxMessageBytes: Config.Int("MLXD_MAX_MESSAGE_BYTES").pipe(Config.withDefault(4 * 1024 * 1024)),
  maxDeadlineMs: Config.Int("MLXD_MAX_DEADLINE_MS").pipe(Config.withDefault(3_600_000)),
  defaultDeadlineMs: Config.Int("MLXD_DEFAULT_DEADLINE_MS").pipe(Config.withDefault(600_000)),
  drainMs: Config.Int("MLXD_DRAIN_MS").pipe(Config.withDefault(30_000)),
  stallMs: Config.Int("MLXD_STALL_MS").pipe(Config.withDefault(30_000)),
  corsOrigins: Config.String("MLXD_CORS_ORIGINS").pipe(
    Config.withDefault(""),
    Config.map((text) => text.split(",").flatMap((origin) => origin.trim() || [])),
  ),
  reflection: Config.Boolean("MLXD_REFLECTION").pipe(Config.withDefault(true)),
});

export class ServerConfig extends Context.Service<ServerConfig, ServerSettings>()("mlxd/config/ServerConfig") {
  static readonly layer = Layer.effect(ServerConfig, settings);
}
