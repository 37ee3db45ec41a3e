/**
 * The trailer `grpc-message`. Connect encodes it with encodeURIComponent, and grpc-js decodes it with decodeURI, which
 * leaves `%3A` where a colon was: in nearly every message of ours. The protocol asks for less, and all clients read
 * that: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
 */
import type * as http from "node:http";

import type { Response } from "./one-port.ts";

/** Only percent signs and what is not printable ASCII. */
export const encodeGrpcMessage = (message: string): string =>
  message.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, (text) => encodeURIComponent(text));

/** Spells the message of the trailers to come by the protocol's own rule. */
export const respellGrpcMessage = (response: Response): void => {
  const add: (trailers: http.OutgoingHttpHeaders) => void = response.addTrailers.bind(response);
  response.addTrailers = (trailers: http.OutgoingHttpHeaders) => {
    const { "grpc-message": message, ...others } = trailers;
    if (typeof message !== "string") return add(trailers);
    add({ ...others, "grpc-message": encodeGrpcMessage(decodeURIComponent(message)) });
  };
};
