/** Refuses, with an explanation, requests that Connect would answer with a bare status or as if they were bugs. */
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Code, type ConnectError } from "@connectrpc/connect";

import { errorInfo } from "../rpc/error-details.ts";
import { connectErrorFrom } from "../rpc/error-to-wire.ts";
import { answerWithJson, answerWithTrailers } from "./answer-error.ts";
import { type ContentType, typesOf } from "./content-type.ts";
import { maxHeaderBytes, type Request, type Response } from "./one-port.ts";

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Refuses the request if necessary. Returns the error that it was answered with; undefined if it was not refused. */
export const refuseRequest = (
  request: Request,
  response: Response,
  handler: UniversalHandler,
  contentType: ContentType,
): ConnectError | undefined => {
  const excess = excessOf(request);
  if (excess !== undefined) {
    if (contentType.type.startsWith("application/grpc")) answerWithTrailers(response, contentType.type, excess);
    else answerWithJson(response, 431, excess);
    return excess;
  }
  const refusal = refusalOf(request, handler, contentType);
  return refusal && answer(response, refusal);
};

/** Headers over the limit, from an HTTP/2 peer that sent them before it had received the limit. */
const excessOf = ({ rawHeaders }: Request): ConnectError | undefined => {
  // Counted as in HTTP/2: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2
  const bytes = rawHeaders.reduce((sum, text) => sum + text.length + 16, 0);
  if (bytes <= maxHeaderBytes) return undefined;
  const message = `the request's headers have ${bytes} bytes; they may have ${maxHeaderBytes} at most`;
  return connectErrorFrom({
    code: Code.ResourceExhausted,
    message,
    details: [errorInfo("MESSAGE_TOO_LARGE", {})],
    metadata: {},
  });
};

/** For a request without a usable authority, and so without a URL. */
export const refuseAuthority = (request: Request, response: Response): ConnectError => {
  const { host } = request.headers;
  const message =
    host === undefined ? "the request has no Host header" : `the Host header ${quote(host)} is no host and port`;
  return answer(response, { status: 400, message });
};

const refusalOf = (request: Request, handler: UniversalHandler, contentType: ContentType): Refusal | undefined => {
  const { method = "", httpVersionMajor, httpVersion } = request;
  const { name, methodKind } = handler.method;
  if (!handler.allowedMethods.includes(method)) {
    const allowed = handler.allowedMethods.toSorted().join(", ");
    return { status: 405, message: `${name} takes ${allowed}, not ${method}`, headers: { Allow: allowed } };
  }
  if (methodKind === "bidi_streaming" && httpVersionMajor === 1) {
    const message = `${name} streams both ways, which takes HTTP/2; this is HTTP/${httpVersion}`;
    return { status: 505, message, headers: { Connection: "close" } };
  }
  return (
    (method === "GET" ? refusalOfQuery(request.url ?? "", name) : refusalOfType(handler, contentType)) ??
    refusalOfVersion(request, contentType)
  );
};

/**
 * A call of a Connect protocol that there is not. Without a version it is this one, as of curl:
 * https://connectrpc.com/docs/protocol#unary-request
 */
const refusalOfVersion = ({ method, url = "", headers }: Request, { type }: ContentType): Refusal | undefined => {
  if (type.startsWith("application/grpc")) return undefined;
  const [what, given, known] =
    method === "GET"
      ? ["query's connect", new URLSearchParams(url.slice(url.indexOf("?") + 1)).get("connect"), "v1"]
      : ["header connect-protocol-version", headers["connect-protocol-version"] ?? null, "1"];
  if (given === null || given === known) return undefined;
  return { status: 400, message: `the ${what} is ${quote(String(given))}; the only version is ${known}` };
};

const refusalOfType = (handler: UniversalHandler, { type, charset }: ContentType): Refusal | undefined => {
  if (charset !== undefined && charset !== "utf-8" && charset !== "utf8") {
    return { status: 415, message: `a body in ${quote(charset)} cannot be read: it must be in UTF-8` };
  }
  // Connect recognises the text format of gRPC-Web, but cannot decode it.
  if (handler.supportedContentType(type) && !type.startsWith("application/grpc-web-text")) return undefined;
  const { name, methodKind } = handler.method;
  const sent = type === "" ? "without a Content-Type" : `with Content-Type ${quote(type)}`;
  const types = typesOf(handler);
  const hint =
    type === "application/json" || type === "application/proto"
      ? `; it ${methodKind === "unary" ? "answers once" : "answers with a stream, whose messages are in envelopes"}`
      : "";
  const message = `${name} was called ${sent}; it takes ${types.join(", ")}${hint}`;
  return { status: 415, message, headers: { "Accept-Post": types.join(", ") } };
};

/** https://connectrpc.com/docs/protocol#unary-get-request */
const refusalOfQuery = (url: string, name: string): Refusal | undefined => {
  const query = url.slice(url.indexOf("?") + 1);
  const parameters = new URLSearchParams(url.includes("?") ? query : "");
  const encoding = parameters.get("encoding");
  if (encoding !== "json" && encoding !== "proto") {
    const given = encoding === null ? "has no encoding" : `has encoding=${quote(encoding)}`;
    return { status: 415, message: `the query of ${name} ${given}; it must be encoding=json or encoding=proto` };
  }
  if (parameters.get("base64") === "1") {
    try {
      base64Decode(parameters.get("message") ?? "");
    } catch {
      return {
        status: 400,
        message: `the query's message is not in base64; leave out base64=1 where it is plain text`,
      };
    }
    return undefined;
  }
  if (!isUtf8(query)) return { status: 400, message: "the query is not percent-encoded UTF-8" };
  return undefined;
};

const isUtf8 = (query: string): boolean => {
  try {
    decodeURIComponent(query.replaceAll(/%(?![0-9a-f]{2})/gi, "%25")); // a lone % is a character of its own
    return true;
  } catch {
    return false;
  }
};

const answer = (response: Response, { status, message, headers = {} }: Refusal): ConnectError => {
  const error = connectErrorFrom({
    code: Code.InvalidArgument,
    message,
    details: [errorInfo("MALFORMED_REQUEST", {})],
    metadata: {},
  });
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  answerWithJson(response, status, error);
  return error;
};

/** At most one line of what the peer sent. */
const quote = (text: string): string => JSON.stringify(text.toWellFormed().slice(0, 100));
