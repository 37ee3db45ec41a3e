/**
 * Passes a request from Node to the handler of its RPC. It does what connectNodeAdapter does, and in addition: takes
 * the deadline out of the headers, identifies each call, lets handlers reset the stream, answers web pages and people,
 * never lets a malformed request throw into the event loop, and logs instead of printing.
 */
import { constants } from "node:http2";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";

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
import { peerOf } from "./peer.ts";
import { refuseAuthority, refuseRequest } from "./refuse-request.ts";
import { receiveEnvelope, receiveWhole } from "./receive-message.ts";
import { requestIdFrom, requestIdHeader } from "./request-id.ts";
import { openResponse, PeerGone, writeResponse } from "./write-response.ts";

/** The RPCs by path, and the limit of their messages. */
interface ServedCalls {
  readonly handlers: ReadonlyArray<UniversalHandler>;
  readonly maxMessageBytes: number;
}

export interface HttpHandlerOptions {
  readonly calls: ReadonlyArray<ServedCalls>;
  /** The RPCs that support Connect's GET requests. */
  readonly queries: ServedCalls;
  readonly cors: CorsOptions;
  /** If a call has no answer for this long, its headers are sent early; 0: never. */
  readonly earlyHeadersMs: {
    /** For Connect streams and gRPC-Web, whose clients do not mind. */
    readonly web: number;
    /** For gRPC, whose clients do not retry a call after they have received headers. */
    readonly grpc: number;
  };
  /** For HTTP/1.1: whether a connection is to be closed after its response. */
  readonly isDraining: () => boolean;
  /** Routes other than RPCs. */
  readonly routes: ReadonlyArray<HttpRoute>;
  /** Authenticates the caller of a route; for RPCs the request gate does that. */
  readonly admit: RouteOptions["admit"];
  /** Like `onCall` and `onFailure`, for routes. */
  readonly onRoute: RouteOptions["onCall"];
  readonly onRouteFailure: RouteOptions["onFailure"];
  /** Called with the error of a request that reaches neither an RPC nor a route. */
  readonly onRefusal: (error: ConnectError) => void;
  /** Additional trailers of gRPC calls; undefined: none. */
  readonly trailers?: (() => Readonly<Record<string, string>>) | undefined;
  /** Called once for each RPC; the returned function is called when its response is complete or was cut off. */
  readonly onCall: (handler: UniversalHandler) => () => void;
  readonly onFailure: (handler: UniversalHandler, reason: unknown) => void;
}

/** An HTTP/2 request has to arrive completely within this time; for HTTP/1.1 Node enforces such a limit. */
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
    // The rest of an unwanted upload is still read after the answer was sent: closing a connection while its peer
    // writes would lose the answer. Node's requestTimeout limits that.
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
      // Without a usable authority there is no URL, and Connect would throw.
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

/**
 * A call of a route: its deadline is in Connect's header, and its caller has left if the response closes before it is
 * complete.
 */
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

const evidenceFrom = (request: Request): Evidence => ({
  authorization: request.headers.authorization,
  certificateNames: certificateNames(request),
  peer: peerOf(request),
});

/** HTTP/1.1 servers also have to accept an absolute URL: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2 */
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

/** The supported compressions of requests. */
export const acceptCompression = [compressionGzip, compressionBrotli];

/** Reads the message of a call with a single request message through receive-message.ts. */
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
  // Connect gets a decompressed or an empty message, so headers that describe the received one no longer apply.
  header.delete("content-length");
  if (compression !== undefined) header.delete(encodingHeader);
};

/** Unary calls of Connect have no early headers, because their result is the response's status. */
const earlyHeadersMs = ({ type }: ContentType, { earlyHeadersMs: { web, grpc } }: HttpHandlerOptions): number => {
  if (isGrpc(type)) return grpc;
  return isGrpcWeb(type) || isConnectStream(type) ? web : 0;
};

const openInTime = (response: Response, header: Headers, delayMs: number): void => {
  if (delayMs === 0) return;
  const timer = setTimeout(() => openResponse(response, header), delayMs);
  response.once("close", () => clearTimeout(timer));
};

/** The HTTP/2 error code for a peer that asks for more than it reads; clients see RESOURCE_EXHAUSTED. */
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

/** The caller left while the answer was being sent. */
const isGone = (reason: unknown): boolean => {
  if (reason instanceof PeerGone) return true;
  const { code } = ConnectError.from(reason);
  return code === Code.Aborted || code === Code.Canceled;
};
