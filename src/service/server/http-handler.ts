/**
 * From a request of Node's to the handler of its RPC. It does what connectNodeAdapter does, and besides: takes the
 * deadline out of the headers, gives handlers a way to reset the stream, answers web pages and people, never lets an
 * odd request throw into Node's event loop, and logs instead of printing.
 */
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type * as http from "node:http";
import { constants } from "node:http2";

import { callDeadline, resetStream } from "../rpc/call-values.ts";
import { applyCors } from "./cors.ts";
import { takeDeadline } from "./deadline-from-headers.ts";
import { answerOther } from "./other-requests.ts";
import { respellGrpcMessage } from "./grpc-message.ts";
import type { Request, RequestHandler, Response } from "./one-port.ts";

export interface HttpHandlerOptions {
  readonly handlers: ReadonlyArray<UniversalHandler>;
  readonly corsOrigins: ReadonlyArray<string>;
  /** Of HTTP/1.1: whether a connection is to be closed after its response. */
  readonly isDraining: () => boolean;
  /** Called once for each RPC; what it returns is called when the RPC's response is complete or was cut. */
  readonly onCall: (handler: UniversalHandler) => () => void;
  readonly onFailure: (handler: UniversalHandler, reason: unknown) => void;
}

/** An HTTP/2 request has to arrive whole by then; Node sees to that for HTTP/1.1 only. */
const bodyTimeoutMs = 60_000;

export const createHttpHandler = (options: HttpHandlerOptions): RequestHandler => {
  const byPath = new Map(options.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const receivedAt = performance.now();
    response.on("error", () => {}); // a response that cannot be written is its caller's loss
    if (applyCors(options.corsOrigins, request, response)) return;
    const handler = byPath.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) return answerOther(request, response);
    if (options.isDraining() && request.httpVersionMajor === 1) response.setHeader("Connection", "close");
    response.once("close", options.onCall(handler));
    if (handler.method.methodKind !== "bidi_streaming") limitBodyTime(request);
    let universal: UniversalServerRequest;
    try {
      universal = universalRequestFromNodeRequest(
        request,
        response,
        undefined,
        createContextValues()
          .set(callDeadline, takeDeadline(request.headers, receivedAt))
          .set(resetStream, () => reset(request, response)),
      );
    } catch {
      // Without a usable authority there is no URL, and Connect throws.
      response.statusCode = 400;
      response.end();
      return;
    }
    if (!("stream" in request)) universal.body = unhurriedBody(request, response);
    respellGrpcMessage(response);
    handler(universal)
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((reason: unknown) => {
        if (!isGone(reason)) options.onFailure(handler, reason);
        if (!response.headersSent && !response.destroyed) reset(request, response);
      });
  };
};

/**
 * The body of an HTTP/1.1 request. What is not wanted of it any more is still taken in once the answer stands: a
 * connection that is closed while its peer writes loses the answer on the way. Node's requestTimeout bounds that.
 */
const unhurriedBody = (request: http.IncomingMessage, response: Response): AsyncIterable<Uint8Array> => {
  response.once("finish", () => request.resume());
  return { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) };
};

/** HTTP/2's error codes for a peer that asks for more than it takes; clients read RESOURCE_EXHAUSTED in it. */
const reset = (request: Request, response: Response): void => {
  if ("stream" in request) request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  else response.destroy();
};

const limitBodyTime = (request: Request): void => {
  if (!("stream" in request)) return;
  const { stream } = request;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), bodyTimeoutMs);
  const stop = () => clearTimeout(timer);
  request.once("end", stop).once("close", stop);
};

/** The caller left while it was being answered. */
const isGone = (reason: unknown): boolean => {
  const { code } = ConnectError.from(reason);
  return code === Code.Aborted || code === Code.Canceled;
};
