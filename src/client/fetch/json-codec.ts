/** JSON as protobuf writes it: a module of its own, which is loaded by clients that use it. */
import { createRegistry, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.ts";
import { file_mlxd_v1_error_details } from "../gen/mlxd/v1/error_details_pb.ts";
import { type Codec, withError } from "./codec.ts";

/** What a google.protobuf.Any of the API may hold: the details of errors. */
const registry = createRegistry(file_google_rpc_error_details, file_mlxd_v1_error_details);

/** A service that is newer than this client may have fields that this client does not know. */
const options = { registry, ignoreUnknownFields: true };

/** The format of JSON. */
export const jsonCodec: Codec = {
  name: "json",
  encode: (schema, message) =>
    withError("serialize JSON", () => new TextEncoder().encode(toJsonString(schema, message, options))),
  decode: (schema, bytes) =>
    withError("parse JSON", () => fromJsonString(schema, new TextDecoder().decode(bytes), options)),
};
