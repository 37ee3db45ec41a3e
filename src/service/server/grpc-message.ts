/**
 * The trailer `grpc-message`. Connect encodes it with encodeURIComponent, and grpc-js decodes it with decodeURI, which
 * leaves `%3A` for every colon, and nearly all of our messages have one. The protocol requires less encoding, which all
 * clients decode correctly: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
 */

/** Encodes only percent signs and characters that are not printable ASCII. */
export const encodeGrpcMessage = (message: string): string =>
  message.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, (text) => encodeURIComponent(text));

/** Connect's trailers with the message encoded by the protocol's rule. */
export const respellGrpcMessage = (trailers: Readonly<Record<string, string>>): Record<string, string> => {
  const { "grpc-message": message, ...others } = trailers;
  return message === undefined ? others : { ...others, "grpc-message": encodeGrpcMessage(decodeURIComponent(message)) };
};
