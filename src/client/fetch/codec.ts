import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.ts";
import { file_mlxd_v1_error_details } from "../gen/mlxd/v1/error_details_pb.ts";

/** Converts messages to bytes and back. */
export interface Codec {
  /** Its name in content types. */
  readonly name: "proto" | "json";
  readonly encode: <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) => Uint8Array<ArrayBuffer>;
  readonly decode: <Desc extends DescMessage>(schema: Desc, bytes: Uint8Array) => MessageShape<Desc>;
}

/** The format of protobuf. */
export const binaryCodec: Codec = {
  name: "proto",
  encode: (schema, message) => withError("serialize binary", () => toBinary(schema, message)),
  decode: (schema, bytes) => withError("parse binary", () => fromBinary(schema, bytes)),
};

/** The format of JSON. */
export const loadJsonCodec = async (): Promise<Codec> => {
  const { createJsonFormat } = await import("./json-format.ts");
  const { encode, decode } = createJsonFormat([file_google_rpc_error_details, file_mlxd_v1_error_details]);
  return {
    name: "json",
    encode: (schema, message) => withError("serialize JSON", () => encode(schema, message)),
    decode: (schema, bytes) => withError("parse JSON", () => decode(schema, bytes)),
  };
};

/** The error names the step, which tells whether the caller or the service made the mistake. */
const withError = <T>(step: string, convert: () => T): T => {
  try {
    return convert();
  } catch (error) {
    throw new ConnectError(`${step}: ${error instanceof Error ? error.message : String(error)}`, Code.Internal);
  }
};
