/** Detects whether other machines can reach the service without authentication or over an unencrypted connection. */
import { BlockList, isIP } from "node:net";
import { Effect, Schema } from "effect";

import type { ServerSettings } from "../config/ServerConfig.ts";

type Listening = Pick<ServerSettings, "host" | "socket" | "tls" | "metrics">;

/** The operator has to confirm such an exposure. */
export class InsecureBind extends Schema.TaggedError<InsecureBind>()("InsecureBind", { exposure: Schema.String }) {
  override get message(): string {
    return (
      `${this.exposure}. Set MLXD_TLS_CERT and MLXD_TLS_KEY, and say in mlxd.yaml who may call (docs/access.md); ` +
      "or set MLXD_INSECURE_BIND=true where everybody in that network may read and call everything"
    );
  }
}

/** One sentence without its full stop; undefined if there is no exposure. */
export const exposureOf = ({ host, socket, tls }: Listening, isAsking: boolean): string | undefined => {
  // The permissions of a socket decide who can reach it.
  if (socket !== undefined) return undefined;
  if (isLoopback(host) || (tls !== undefined && isAsking)) return undefined;
  const lacking = [...(tls === undefined ? ["TLS"] : []), ...(isAsking ? [] : ["keys"])].join(" and ");
  return `the service listens on ${host}, beyond this machine, without ${lacking}`;
};

/** Fails if the service can be reached from other machines without TLS and keys, unless that was confirmed. */
export const assertMeant = (
  settings: Listening & Pick<ServerSettings, "insecureBind">,
  isAsking: boolean,
): Effect.Effect<void, InsecureBind> => {
  const exposure = exposureOf(settings, isAsking);
  return exposure === undefined || settings.insecureBind ? Effect.void : Effect.fail(new InsecureBind({ exposure }));
};

/** Warnings for the operator about how the service listens. */
export const warningsOf = (settings: Listening, isAsking: boolean): ReadonlyArray<string> => {
  const { host, metrics } = settings;
  const exposure = exposureOf(settings, isAsking);
  const openMetrics = typeof metrics === "number" && !isLoopback(host);
  return [
    ...(exposure === undefined ? [] : [exposure]),
    ...(openMetrics ? [`port ${metrics} gives metrics to whoever reaches ${host}, without TLS and keys`] : []),
  ];
};

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** @param host an address or a name */
export const isLoopback = (host: string): boolean => {
  if (host === "localhost") return true;
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 4 ? "ipv4" : "ipv6");
};
