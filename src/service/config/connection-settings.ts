/** Limits for the number and age of connections, and the Unix socket. */
import { Config, Schema } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** Connections from one address. Behind a proxy all callers have its address. */
  readonly maxConnectionsPerPeer: number;
  /** How long an HTTP/2 connection may be without a call before it is sent away. 0: forever. */
  readonly maxConnectionIdleMs: number;
  /**
   * A connection older than this accepts no new calls: HTTP/2 peers get a GOAWAY, HTTP/1.1 peers `Connection: close`.
   * 0: never.
   */
  readonly maxConnectionAgeMs: number;
  /** How long the calls on such a connection may take to finish. */
  readonly connectionAgeGraceMs: number;
}

/** The settings for which a connection may be refused. */
export const connectionLimits = ["MLXD_MAX_CONNECTIONS", "MLXD_MAX_CONNECTIONS_PER_PEER"] as const;
export type ConnectionLimit = (typeof connectionLimits)[number];

export interface SocketSettings {
  /** Path of a Unix socket to listen on instead of host and port; undefined: none. */
  readonly socket: string | undefined;
  /** The permissions of its file. */
  readonly socketMode: number;
}

export const connectionSettings = {
  maxConnections: wholeNumber("MLXD_MAX_CONNECTIONS", { minimum: 1, maximum: 1_000_000, fallback: 4096 }),
  maxConnectionsPerPeer: wholeNumber("MLXD_MAX_CONNECTIONS_PER_PEER", {
    minimum: 1,
    maximum: 1_000_000,
    fallback: 1024,
  }),
  maxConnectionIdleMs: wholeNumber("MLXD_MAX_CONNECTION_IDLE_MS", {
    minimum: 0,
    maximum: 604_800_000,
    fallback: 3_600_000,
  }),
  maxConnectionAgeMs: wholeNumber("MLXD_MAX_CONNECTION_AGE_MS", { minimum: 0, maximum: 604_800_000, fallback: 0 }),
  connectionAgeGraceMs: wholeNumber("MLXD_CONNECTION_AGE_GRACE_MS", {
    minimum: 0,
    maximum: 86_400_000,
    fallback: 600_000,
  }),
  socket: Config.String("MLXD_SOCKET").pipe(
    Config.withDefault(""),
    Config.map((path) => (path === "" ? undefined : path)),
  ),
  socketMode: Config.schema(
    Schema.String.check(Schema.isPattern(/^0?[0-7]{3}$/, { message: "permissions are three octal digits, as 660" })),
    "MLXD_SOCKET_MODE",
  ).pipe(
    Config.withDefault("600"),
    Config.map((digits) => Number.parseInt(digits, 8)),
  ),
};
