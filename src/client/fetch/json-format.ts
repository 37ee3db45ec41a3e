/** Messages in JSON: a module of its own, with nothing of the client in it, which is loaded by clients that use it. */
import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromJsonString,
  type MessageShape,
  toJsonString,
} from "@bufbuild/protobuf";

/** Writes and reads messages as protobuf has them in JSON. @param files with the messages that a google.protobuf.Any may hold */
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
