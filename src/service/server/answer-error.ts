/** Errors that the listener answers with itself, before any handler has a call. */
import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

import { respellGrpcMessage } from "./grpc-message.ts";
import type { Response } from "./one-port.ts";
import { endTrailersOnly } from "./write-response.ts";

/** As Connect puts it: an HTTP status, and JSON. */
export const answerWithJson = (response: Response, status: number, error: ConnectError): void => {
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(errorToJson(error, undefined)));
};

/** As gRPC and gRPC-Web put it: headers alone. */
export const answerWithTrailers = (response: Response, contentType: string, error: ConnectError): void => {
  const trailers = new Headers();
  setTrailerStatus(trailers, error);
  endTrailersOnly(response, { "content-type": contentType, ...respellGrpcMessage(Object.fromEntries(trailers)) });
};
