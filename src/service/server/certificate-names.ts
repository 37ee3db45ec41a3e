/** What a client certificate calls its owner. */
import type { TLSSocket } from "node:tls";

import type { Request } from "./one-port.ts";

/** By connection: a certificate is read once, not once for each call. */
const known = new WeakMap<object, ReadonlyArray<string>>();

/** `CN:NAME`, `DNS:NAME` and `URI:NAME`; none where no certificate was shown, or none that counts. */
export const certificateNames = (request: Request): ReadonlyArray<string> => {
  const connection = "stream" in request ? request.stream.session : request.socket;
  if (connection === undefined) return [];
  const kept = known.get(connection);
  if (kept !== undefined) return kept;
  // Of HTTP/2 the socket is a proxy, which hands what it is asked for on to the real one.
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

/** As Node writes a subject: an attribute on each line, with a backslash before what would be read otherwise. */
export const subjectNames = (subject: string): ReadonlyArray<string> => {
  const names = subject.split("\n").flatMap((line) => /^CN=([^\\+]+)$/.exec(line)?.[1] ?? []);
  // Of several common names none says who it is.
  return names.length === 1 ? names.map((name) => `CN:${name}`) : [];
};

/** As Node writes them: separated by commas, one that holds a comma or a quote as a JSON text. */
export const alternativeNames = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:^|, )(DNS|URI|[^:,]+):("(?:[^"\\]|\\.)*"|[^",]*)/g)].flatMap(([, kind, value = ""]) =>
    (kind === "DNS" || kind === "URI") && value !== "" && !value.startsWith('"') ? [`${kind}:${value}`] : [],
  );
