/**
 * From a request of Node's to the handler of its RPC. It does what connectNodeAdapter does, and besides: takes the
 * deadline out of the headers, names each call, gives handlers a way to reset the stream, answers web pages and people,
 * never lets an odd request throw into Node's event loop, and logs instead of printing.
 */
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { constants } from "node:http2";

import { announceHeader, callDeadline, requestId, resetStream } from "../rpc/call-values.ts";
import { type ContentType, isConnectStream, isGrpc, isGrpcWeb, parseContentType } from "./content-type.ts";
import { applyCors, type CorsOptions } from "./cors.ts";
import { takeDeadline } from "./deadline-from-headers.ts";
import { withJsonText } from "./json-text.ts";
import { answerOther } from "./other-requests.ts";
import type { Request, RequestHandler, Response } from "./one-port.ts";
import { refuseAuthority, refuseRequest } from "./refuse-request.ts";
import { requestIdFrom, requestIdHeader } from "./request-id.ts";
import { singleMessage } from "./single-message.ts";
import { openResponse, PeerGone, writeResponse } from "./write-response.ts";

export interface HttpHandlerOptions {
  readonly handlers: ReadonlyArray<UniversalHandler>;
  readonly cors: CorsOptions;
  /** When a call has not begun to be answered for this long, its headers are sent; 0: never. */
  readonly earlyHeadersMs: {
    /** Of Connect streams and gRPC-Web, whose clients do not mind. */
    readonly web: number;
    /** Of gRPC, whose clients do not retry a call of which they have headers. */
    readonly grpc: number;
  };
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
    const id = requestIdFrom(request.headers);
    response.setHeader(requestIdHeader, id);
    toOriginForm(request);
    if (applyCors(options.cors, request, response)) return;
    const handler = byPath.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) return answerOther(request, response);
    if (options.isDraining() && request.httpVersionMajor === 1) response.setHeader("Connection", "close");
    // What is not wanted of an upload is still taken in once the answer stands: a connection that is closed while its
    // peer writes loses the answer on the way. Node's requestTimeout bounds that.
    if (!("stream" in request)) response.once("finish", () => request.resume());
    const contentType = parseContentType(request.headers["content-type"] ?? "");
    if (refuseRequest(request, response, handler, contentType)) return;
    if (contentType.type !== "") request.headers["content-type"] = contentType.type;
    response.once("close", options.onCall(handler));
    if (handler.method.methodKind !== "bidi_streaming") limitBodyTime(request);
    if (contentType.type !== "" && !isGrpc(contentType.type)) response.setHeader("X-Accel-Buffering", "no");
    let universal: UniversalServerRequest;
    try {
      universal = universalRequestFromNodeRequest(
        request,
        response,
        undefined,
        createContextValues()
          .set(callDeadline, takeDeadline(request.headers, receivedAt))
          .set(requestId, id)
          .set(announceHeader, (header) => openInTime(response, header, earlyHeadersMs(contentType, options)))
          .set(resetStream, () => reset(request, response)),
      );
    } catch {
      // Without a usable authority there is no URL, and Connect throws.
      return refuseAuthority(request, response);
    }
    universal.body = bodyOf(universal, handler, contentType);
    withJsonText(() => handler(universal))
      .then((answer) => writeResponse(answer, response))
      .catch((reason: unknown) => {
        if (!isGone(reason)) options.onFailure(handler, reason);
        if (!response.headersSent && !response.destroyed) reset(request, response);
      });
  };
};

/** HTTP/1.1 servers have to take a whole URL as well: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2 */
const toOriginForm = (request: Request): void => {
  const path = /^https?:\/\/[^/?#]*([/?].*)?$/i.exec(request.url ?? "");
  if (path !== null) request.url = path[1] ?? "/";
};

const bodyOf = ({ body }: UniversalServerRequest, { method }: UniversalHandler, { type }: ContentType) => {
  const isOneMessage = method.methodKind === "unary" || method.methodKind === "server_streaming";
  const isEnveloped = isGrpc(type) || isGrpcWeb(type) || isConnectStream(type);
  // It is always a stream of bytes: nothing has read it before.
  return isOneMessage && isEnveloped ? singleMessage(body as AsyncIterable<Uint8Array>, method.name) : body;
};

/** Calls of Connect that are no streams have no early headers: their status is the response's. */
const earlyHeadersMs = ({ type }: ContentType, { earlyHeadersMs: { web, grpc } }: HttpHandlerOptions): number => {
  if (isGrpc(type)) return grpc;
  return isGrpcWeb(type) || isConnectStream(type) ? web : 0;
};

const openInTime = (response: Response, header: Headers, delayMs: number): void => {
  if (delayMs === 0) return;
  const timer = setTimeout(() => openResponse(response, header), delayMs);
  response.once("close", () => clearTimeout(timer));
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
  if (reason instanceof PeerGone) return true;
  const { code } = ConnectError.from(reason);
  return code === Code.Aborted || code === Code.Canceled;
};
