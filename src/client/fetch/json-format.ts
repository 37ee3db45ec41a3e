/** Messages in JSON. It is a module of its own, so that it is only loaded by clients that use JSON. */
import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromJsonString,
  type MessageShape,
  toJsonString,
} from "@bufbuild/protobuf";

/** Encodes and decodes messages in protobuf's JSON format. @param files with the messages that a google.protobuf.Any may contain */
export const createJsonFormat = (files: readonly DescFile[]) => {
  // A service that is newer than this client may have fields that this client does not know.
  const options = { registry: createRegistry(...files), ignoreUnknownFields: true };
  return {
    encode: <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array<ArrayBuffer> =>
      new TextEncoder().encode(toJsonString(schema, message, options)),
    decode: <Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> =>
      fromJsonString(schema, new TextDecoder().decode(bytes), options),
  };
};
