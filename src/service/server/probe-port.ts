/** Checks that the service will be able to listen, before it spends minutes on loading models. */
import { once } from "node:events";
import { createServer } from "node:net";
import { Effect } from "effect";

import type { ServerSettings } from "../config/ServerConfig.ts";
import { type ListenFailed, listenFailed, socketWithTls } from "./ListenFailed.ts";
import { prepareSocket } from "./unix-socket.ts";

/** Port 0, for any, is always there. */
type Place = Pick<ServerSettings, "host" | "port" | "socket" | "tls">;

/**
 * Listens and stops immediately. If another program takes the port before the service listens, the service fails then.
 */
export const probePort = (place: Place): Effect.Effect<void, ListenFailed> => {
  const { host, port, socket, tls } = place;
  if (socket !== undefined && tls !== undefined) return Effect.fail(socketWithTls(place));
  return Effect.tryPromise({
    try: () => (socket === undefined ? tryPort(host, port) : prepareSocket(socket)),
    catch: (error) => listenFailed(place, codeOf(error)),
  });
};

const tryPort = async (host: string, port: number): Promise<void> => {
  const server = createServer((socket) => socket.destroy());
  server.listen(port, host);
  await once(server, "listening");
  server.close();
  await once(server, "close");
};

/** Node's code of an error, such as EADDRINUSE. */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error);
