/** Reads the names in a client certificate. */
import type { TLSSocket } from "node:tls";

import type { Request } from "./one-port.ts";

/** By connection, so that a certificate is parsed once and not for each call. */
const known = new WeakMap<object, ReadonlyArray<string>>();

/** `CN:NAME`, `DNS:NAME` and `URI:NAME`; empty if there is no certificate or it was not verified. */
export const certificateNames = (request: Request): ReadonlyArray<string> => {
  const connection = "stream" in request ? request.stream.session : request.socket;
  if (connection === undefined) return [];
  const kept = known.get(connection);
  if (kept !== undefined) return kept;
  // For HTTP/2 the socket is a proxy that forwards properties to the real one.
  const socket = request.socket as Partial<TLSSocket>;
  const names = socket.authorized === true ? namesOf(socket) : [];
  known.set(connection, names);
  return names;
};

const namesOf = (socket: Partial<TLSSocket>): ReadonlyArray<string> => {
  const certificate = socket.getPeerX509Certificate?.();
  if (certificate === undefined) return [];
  return [...subjectNames(certificate.subject), ...alternativeNames(certificate.subjectAltName ?? "")];
};

/** Parses a subject in Node's format: one attribute per line, with special characters escaped by a backslash. */
export const subjectNames = (subject: string): ReadonlyArray<string> => {
  const names = subject.split("\n").flatMap((line) => /^CN=([^\\+]+)$/.exec(line)?.[1] ?? []);
  // With several common names it is unclear which one identifies the owner.
  return names.length === 1 ? names.map((name) => `CN:${name}`) : [];
};

/** Parses Node's format: separated by commas; a name with a comma or quote is a JSON string. */
export const alternativeNames = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:^|, )(DNS|URI|[^:,]+):("(?:[^"\\]|\\.)*"|[^",]*)/g)].flatMap(([, kind, value = ""]) =>
    (kind === "DNS" || kind === "URI") && value !== "" && !value.startsWith('"') ? [`${kind}:${value}`] : [],
  );
