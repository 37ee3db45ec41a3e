/**
 * From a request of Node's to the handler of its RPC. It does what connectNodeAdapter does, and besides: takes the
 * deadline out of the headers, names each call, gives handlers a way to reset the stream, answers web pages and people,
 * never lets an odd request throw into Node's event loop, and logs instead of printing.
 */
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { constants } from "node:http2";

import type { Evidence } from "../access/Tenants.ts";
import { announceHeader, callDeadline, evidenceOf, heldRequest, requestId, resetStream } from "../rpc/call-values.ts";
import type { RequestBytes } from "../wire/read-request.ts";
import { certificateNames } from "./certificate-names.ts";
import { type ContentType, isConnectStream, isGrpc, isGrpcWeb, parseContentType } from "./content-type.ts";
import { applyCors, type CorsOptions } from "./cors.ts";
import { takeDeadline } from "./deadline-from-headers.ts";
import { answerRoute, answerUnknown, createRouteTable, type HttpRoute, type RouteOptions } from "./http-routes.ts";
import { withJsonText } from "./json-text.ts";
import type { Request, RequestHandler, Response } from "./one-port.ts";
import { refuseAuthority, refuseRequest } from "./refuse-request.ts";
import { receiveEnvelope, receiveWhole } from "./receive-message.ts";
import { requestIdFrom, requestIdHeader } from "./request-id.ts";
import { openResponse, PeerGone, writeResponse } from "./write-response.ts";

/** The RPCs of one path, or of several, and what their messages may have. */
interface ServedCalls {
  readonly handlers: ReadonlyArray<UniversalHandler>;
  readonly maxMessageBytes: number;
}

export interface HttpHandlerOptions {
  readonly calls: ReadonlyArray<ServedCalls>;
  /** What answers Connect's GET requests. */
  readonly queries: ServedCalls;
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
  /** What is answered beside RPCs. */
  readonly routes: ReadonlyArray<HttpRoute>;
  /** Who calls a route, if it may; of RPCs their gate asks. */
  readonly admit: RouteOptions["admit"];
  /** The same as `onCall` and `onFailure`, of a route. */
  readonly onRoute: RouteOptions["onCall"];
  readonly onRouteFailure: RouteOptions["onFailure"];
  /** Told what a request was answered with that reaches no RPC and no route. */
  readonly onRefusal: (error: ConnectError) => void;
  /** What gRPC calls end with beside their status; undefined: nothing. */
  readonly trailers?: (() => Readonly<Record<string, string>>) | undefined;
  /** Called once for each RPC; what it returns is called when the RPC's response is complete or was cut. */
  readonly onCall: (handler: UniversalHandler) => () => void;
  readonly onFailure: (handler: UniversalHandler, reason: unknown) => void;
}

/** An HTTP/2 request has to arrive whole by then; Node sees to that for HTTP/1.1 only. */
const bodyTimeoutMs = 60_000;

export const createHttpHandler = (options: HttpHandlerOptions): RequestHandler => {
  const posts = byPath(options.calls);
  const queries = byPath([options.queries]);
  const routes = createRouteTable(options.routes);
  const { isDraining, admit, onRefusal, onRoute: onCall, onRouteFailure: onFailure } = options;
  return (request, response) => {
    const receivedAt = performance.now();
    response.on("error", () => {}); // a response that cannot be written is its caller's loss
    const id = requestIdFrom(request.headers);
    response.setHeader(requestIdHeader, id);
    toOriginForm(request);
    if (applyCors(options.cors, request, response)) return;
    const path = request.url?.split("?", 1)[0] ?? "";
    const served = (request.method === "GET" ? queries.get(path) : undefined) ?? posts.get(path);
    if (options.isDraining() && request.httpVersionMajor === 1) response.setHeader("Connection", "close");
    if (served === undefined) {
      const found = routes.find(path);
      if (found === undefined) return onRefusal(answerUnknown(request, response, path));
      limitBodyTime(request);
      const incoming = incomingFrom(request, response, id, receivedAt);
      return answerRoute(found, request, response, incoming, { isDraining, admit, onCall, onFailure });
    }
    const { handler } = served;
    // What is not wanted of an upload is still taken in once the answer stands: a connection that is closed while its
    // peer writes loses the answer on the way. Node's requestTimeout bounds that.
    if (!("stream" in request)) response.once("finish", () => request.resume());
    const contentType = parseContentType(request.headers["content-type"] ?? "");
    const refused = refuseRequest(request, response, handler, contentType);
    if (refused !== undefined) return onRefusal(refused);
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
          .set(evidenceOf, evidenceFrom(request))
          .set(announceHeader, (header) => openInTime(response, header, earlyHeadersMs(contentType, options)))
          .set(resetStream, () => reset(request, response)),
      );
    } catch {
      // Without a usable authority there is no URL, and Connect throws.
      return onRefusal(refuseAuthority(request, response));
    }
    takeMessage(universal, served, contentType.type);
    withJsonText(() => handler(universal))
      .then((answer) => writeResponse(answer, response, options.trailers))
      .catch((reason: unknown) => {
        if (!isGone(reason)) options.onFailure(handler, reason);
        if (!response.headersSent && !response.destroyed) reset(request, response);
      });
  };
};

/** A call that comes by a route: its deadline is in Connect's header, its caller has left when its response closes too early. */
const incomingFrom = (
  request: Request,
  response: Response,
  requestId: string,
  receivedAt: number,
): Parameters<typeof answerRoute>[3] => ({
  requestId,
  evidence: evidenceFrom(request),
  ...takeDeadline(request.headers, receivedAt),
  onLeave: (listener) => {
    const heard = () => {
      if (!response.writableFinished) listener();
    };
    if (response.destroyed) heard();
    else response.once("close", heard);
  },
  reset: () => reset(request, response),
});

const evidenceFrom = (request: Request): Evidence => {
  const { headers, socket } = request;
  return {
    authorization: headers.authorization,
    certificateNames: certificateNames(request),
    peer: `${socket.remoteAddress ?? ""}:${socket.remotePort ?? ""}`,
  };
};

/** HTTP/1.1 servers have to take a whole URL as well: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2 */
const toOriginForm = (request: Request): void => {
  const path = /^https?:\/\/[^/?#]*([/?].*)?$/i.exec(request.url ?? "");
  if (path !== null) request.url = path[1] ?? "/";
};

interface Served {
  readonly handler: UniversalHandler;
  readonly maxMessageBytes: number;
}

const byPath = (calls: ReadonlyArray<ServedCalls>): ReadonlyMap<string, Served> =>
  new Map(
    calls.flatMap(({ handlers, maxMessageBytes }) =>
      handlers.map((handler) => [handler.requestPath, { handler, maxMessageBytes }] as const),
    ),
  );

/** What requests may be compressed with. */
export const acceptCompression = [compressionGzip, compressionBrotli];

/** Has the message of a call that takes one come through receive-message.ts. */
const takeMessage = (request: UniversalServerRequest, { handler, maxMessageBytes }: Served, type: string): void => {
  const { method } = handler;
  if (request.method !== "POST" || (method.methodKind !== "unary" && method.methodKind !== "server_streaming")) return;
  const { header } = request;
  const isWhole = !isGrpc(type) && !isGrpcWeb(type) && !isConnectStream(type);
  const encodingHeader = isWhole
    ? "content-encoding"
    : isConnectStream(type)
      ? "connect-content-encoding"
      : "grpc-encoding";
  const compression = acceptCompression.find(({ name }) => name === header.get(encodingHeader));
  const intake = {
    schema: method.input,
    method: method.name,
    isBinary: !type.endsWith("json"),
    maxBytes: maxMessageBytes,
    compression,
    hold: (held: RequestBytes) => void request.contextValues?.set(heldRequest, held),
  };
  // It is always a stream of bytes: nothing has read it before.
  const body = request.body as AsyncIterable<Uint8Array>;
  if (!isWhole) {
    request.body = receiveEnvelope(body, intake);
    return;
  }
  const contentLength = header.get("content-length");
  request.body = receiveWhole(body, contentLength === null ? undefined : Number(contentLength), intake);
  // Connect is given the message as it stands, or another one: what was said of it on the way is no longer true.
  header.delete("content-length");
  if (compression !== undefined) header.delete(encodingHeader);
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
