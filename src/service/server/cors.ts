/** Lets web pages of the configured origins call: https://connectrpc.com/docs/cors */
import { cors } from "@connectrpc/connect";

import type { Request, Response } from "./one-port.ts";
import { requestIdHeader } from "./request-id.ts";

export interface CorsOptions {
  /** `*` allows any origin. Empty: none. */
  readonly origins: ReadonlyArray<string>;
  /** Request headers that pages may send, in addition to those of the protocols. */
  readonly headers: ReadonlyArray<string>;
}

const preflightMaxAgeS = 7200;

const rateHeaders = ["limit", "remaining", "reset"].flatMap((what) =>
  ["requests", "tokens"].map((of) => `x-ratelimit-${what}-${of}`),
);

const exposedHeaders = [
  ...cors.exposedHeaders,
  "Grpc-Retry-Pushback-Ms",
  "Retry-After",
  requestIdHeader,
  ...rateHeaders,
].join(", ");

/**
 * Headers that a page's proxies and tracing add, whether or not the service reads them. They are listed because a star
 * would not cover `authorization`.
 */
const usualHeaders = ["authorization", "traceparent", "tracestate", "baggage", "x-prefix-key", requestIdHeader];

/**
 * Adds the CORS headers that the request's origin is entitled to. True if the request was a preflight, which is then
 * answered.
 */
export const applyCors = (options: CorsOptions, request: Request, response: Response): boolean => {
  const { origins, headers } = options;
  const { origin } = request.headers;
  if (origin === undefined || origins.length === 0) return false;
  const isPreflight = request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
  const isAny = origins.includes("*");
  if (!isAny) response.setHeader("Vary", "Origin");
  if (isAny || origins.includes(origin)) {
    response.setHeader("Access-Control-Allow-Origin", isAny ? "*" : origin);
    response.setHeader("Access-Control-Expose-Headers", exposedHeaders);
    if (isPreflight) {
      response.setHeader("Access-Control-Allow-Methods", cors.allowedMethods.join(", "));
      const allowed = new Set([...cors.allowedHeaders, ...usualHeaders, ...headers].map((name) => name.toLowerCase()));
      response.setHeader("Access-Control-Allow-Headers", [...allowed].join(", "));
      response.setHeader("Access-Control-Max-Age", String(preflightMaxAgeS));
    }
  }
  if (isPreflight) {
    response.statusCode = 204;
    response.end();
  }
  return isPreflight;
};
