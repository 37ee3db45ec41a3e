/** Lets web pages of the configured origins call: https://connectrpc.com/docs/cors */
import { cors } from "@connectrpc/connect";

import type { Request, Response } from "./one-port.ts";

const preflightMaxAgeS = 7200;

const exposedHeaders = [...cors.exposedHeaders, "Grpc-Retry-Pushback-Ms"].join(", ");

/** Adds the headers that the origin of the request is entitled to. True when that was a preflight, now answered. */
export const applyCors = (origins: ReadonlyArray<string>, request: Request, response: Response): boolean => {
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
      response.setHeader("Access-Control-Allow-Headers", cors.allowedHeaders.join(", "));
      response.setHeader("Access-Control-Max-Age", String(preflightMaxAgeS));
    }
  }
  if (isPreflight) {
    response.statusCode = 204;
    response.end();
  }
  return isPreflight;
};
