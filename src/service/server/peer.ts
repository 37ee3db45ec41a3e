import type { Request } from "./one-port.ts";

const unixConnections = new WeakMap<object, number>();
let lastUnixConnection = 0;

/** Host and port of a call's caller. Connections over a Unix socket have neither: they are numbered, as `unix:7`. */
export const peerOf = (request: Request): string => {
  const { remoteAddress, remotePort = "" } = request.socket;
  if (remoteAddress !== undefined) return `${remoteAddress}:${remotePort}`;
  const connection = "stream" in request ? (request.stream.session ?? request.stream) : request.socket;
  const number = unixConnections.get(connection) ?? ++lastUnixConnection;
  unixConnections.set(connection, number);
  return `unix:${number}`;
};
