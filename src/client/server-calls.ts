import type { Caller } from "./caller.ts";
import type { MlxdClient, RawClients } from "./client.ts";
import { serverInfoFromWire, serverStatsFromWire } from "./descriptions.ts";

/** The calls of the ServerService. */
export const createServerCalls = (
  caller: Caller,
  raw: RawClients["server"],
): Pick<MlxdClient, "serverInfo" | "stats"> => ({
  serverInfo: async (options = {}) =>
    serverInfoFromWire(await caller.unary(options, (connect) => raw.getServerInfo({}, connect))),

  stats: async (options = {}) =>
    serverStatsFromWire(await caller.unary(options, (connect) => raw.getStats({}, connect))),
});
