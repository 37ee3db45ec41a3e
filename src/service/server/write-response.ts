/**
 * Writes a handler's answer to Node's response. It does what universalResponseToNodeResponse of connect-node does, and
 * in addition: an error of gRPC before the first message is sent as Trailers-Only, because gRPC clients retry nothing
 * else, and headers can be sent before there is an answer.
 */
import { constants } from "node:http2";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";

import { respellGrpcMessage } from "./grpc-message.ts";
import type { Response } from "./one-port.ts";

type HeaderObject = Record<string, string>;

/**
 * Rejects if the peer has gone before everything is written; the answer's body is then cancelled.
 *
 * @param trailers additional trailers of a gRPC answer; requested when its own trailers are known
 */
export const writeResponse = async (
  answer: UniversalServerResponse,
  response: Response,
  trailers: () => Readonly<Record<string, string>> = () => ({}),
): Promise<void> => {
  const body = answer.body?.[Symbol.asyncIterator]();
  let isWriting = false;
  try {
    // Some headers are set only when the first chunk is produced.
    let chunk = await body?.next();
    const header = objectFrom(answer.header);
    const trailer = respellGrpcMessage(objectFrom(answer.trailer));
    if ((chunk === undefined || chunk.done === true) && "grpc-status" in trailer && !response.headersSent) {
      return endTrailersOnly(response, { ...header, ...trailer, ...trailers() });
    }
    if (!response.headersSent) sendHead(response, answer.status, withRetryAfter(answer.status, header));
    releaseUploadAfter(response);
    for (; chunk !== undefined && chunk.done !== true; chunk = await body?.next()) {
      isWriting = true;
      await write(response, chunk.value);
      isWriting = false;
    }
    if (answer.trailer !== undefined) {
      response.addTrailers({ ...respellGrpcMessage(objectFrom(answer.trailer)), ...trailers() });
    }
    response.end();
  } catch (reason) {
    if (isWriting) body?.throw?.(reason).catch(() => {});
    throw reason;
  } finally {
    body?.return?.().catch(() => {});
  }
};

/**
 * Sends status 200 and the headers now, for a call whose answer takes long. Its result has to be reported in trailers.
 */
export const openResponse = (response: Response, header: Headers): void => {
  if (response.headersSent || response.writableEnded) return;
  sendHead(response, 200, objectFrom(header));
  if (!("stream" in response)) response.flushHeaders();
};

/**
 * Sends status and headers in one frame that ends the stream:
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
 */
export const endTrailersOnly = (response: Response, headers: HeaderObject): void => {
  // Not with writeHead(): only headers that end() sends are in the same frame as the end of the stream.
  response.statusCode = 200;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end();
  setImmediate(releaseUpload, response);
};

/** Tells a peer that is still uploading to stop, once the answer is complete. */
const releaseUploadAfter = (response: Response): void => {
  // Node sends trailers with setImmediate and emits no event; a setImmediate queued here runs after that.
  if ("stream" in response) response.stream.once("wantTrailers", () => setImmediate(releaseUpload, response));
};

const releaseUpload = (response: Response): void => {
  if (!("stream" in response)) return;
  const { stream } = response;
  if (!stream.destroyed && stream.state.remoteClose === 0) stream.close(constants.NGHTTP2_NO_ERROR);
};

/** For HTTP clients and proxies; rounded up to whole seconds. */
const withRetryAfter = (status: number, headers: HeaderObject): HeaderObject => {
  const pushbackMs = headers["grpc-retry-pushback-ms"];
  if (status < 400 || pushbackMs === undefined) return headers;
  return { ...headers, "retry-after": String(Math.ceil(Number(pushbackMs) / 1000)) };
};

/** For HTTP/1.1, Node sends them with the first bytes of the body. */
const sendHead = (response: Response, status: number, headers: HeaderObject): void => {
  if ("stream" in response) response.writeHead(status, headers);
  else response.writeHead(status, headers);
};

const objectFrom = (headers: UniversalServerResponse["header"]): HeaderObject =>
  Object.fromEntries(new Headers(headers));

/** The peer has gone while it was being answered. */
export class PeerGone extends Error {
  override readonly message = "the peer closed the stream";
}

/** Resolves when there is room for more. */
const write = (response: Response, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    if (isClosed(response)) return reject(new PeerGone());
    if ("stream" in response ? response.write(bytes) : response.write(bytes)) return resolve();
    const onDrain = () => {
      response.off("close", onClose);
      resolve();
    };
    const onClose = () => {
      response.off("drain", onDrain);
      reject(new PeerGone());
    };
    response.once("drain", onDrain).once("close", onClose);
  });

const isClosed = (response: Response): boolean =>
  "stream" in response ? response.stream.destroyed || response.stream.closed : response.destroyed;
