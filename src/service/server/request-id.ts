import type { IncomingHttpHeaders } from "node:http";

export const requestIdHeader = "x-request-id";

/** The caller's own id, if it is safe in a header and in a log line; otherwise a new one. */
export const requestIdFrom = (headers: IncomingHttpHeaders): string => {
  const given = headers[requestIdHeader];
  return typeof given === "string" && /^[\x21-\x7e]{1,128}$/.test(given) ? given : crypto.randomUUID();
};
