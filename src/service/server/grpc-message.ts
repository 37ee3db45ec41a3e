/**
 * The trailer `grpc-message`. Connect encodes it with encodeURIComponent, and grpc-js decodes it with decodeURI, which
 * leaves `%3A` where a colon was: in nearly every message of ours. The protocol asks for less, and all clients read
 * that: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
 */

/** Only percent signs and what is not printable ASCII. */
export const encodeGrpcMessage = (message: string): string =>
  message.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, (text) => encodeURIComponent(text));

/** Trailers of Connect's with the message spelled by the protocol's own rule. */
export const respellGrpcMessage = (trailers: Readonly<Record<string, string>>): Record<string, string> => {
  const { "grpc-message": message, ...others } = trailers;
  return message === undefined ? others : { ...others, "grpc-message": encodeGrpcMessage(decodeURIComponent(message)) };
};
