/** Errors that the listener sends itself, before a handler gets the call. */
import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

import { respellGrpcMessage } from "./grpc-message.ts";
import type { Response } from "./one-port.ts";
import { endTrailersOnly } from "./write-response.ts";

/** In Connect's format for unary calls: an HTTP status and JSON. */
export const answerWithJson = (response: Response, status: number, error: ConnectError): void => {
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(errorToJson(error, undefined)));
};

/** In the format of gRPC and gRPC-Web: headers only. */
export const answerWithTrailers = (response: Response, contentType: string, error: ConnectError): void => {
  const trailers = new Headers();
  setTrailerStatus(trailers, error);
  endTrailersOnly(response, { "content-type": contentType, ...respellGrpcMessage(Object.fromEntries(trailers)) });
};
