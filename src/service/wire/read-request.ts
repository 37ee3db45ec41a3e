/** Decodes a request's bytes into a valid message, or finds what is wrong with it. */
import { createRegistry, type DescMessage, fromBinary, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";

import { file_grpc_health_v1_health } from "../../client/gen/grpc/health/v1/health_pb.ts";
import { file_mlxd_v1_cache_service } from "../../client/gen/mlxd/v1/cache_service_pb.ts";
import { file_mlxd_v1_catalog_service } from "../../client/gen/mlxd/v1/catalog_service_pb.ts";
import { file_mlxd_v1_diagnostics_service } from "../../client/gen/mlxd/v1/diagnostics_service_pb.ts";
import { file_mlxd_v1_embedding_service } from "../../client/gen/mlxd/v1/embedding_service_pb.ts";
import { BatchItemSchema, file_mlxd_v1_generation_service } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { file_mlxd_v1_job_service } from "../../client/gen/mlxd/v1/job_service_pb.ts";
import { file_mlxd_v1_model_service } from "../../client/gen/mlxd/v1/model_service_pb.ts";
import { file_mlxd_v1_server_service } from "../../client/gen/mlxd/v1/server_service_pb.ts";
import { file_mlxd_v1_tokenizer_service } from "../../client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { file_xds_service_orca_v3_orca } from "../../client/gen/xds/service/orca/v3/orca_pb.ts";
import type { FieldViolation } from "../domain/errors.ts";
import { jsonFault } from "./json-fault.ts";
import type { JsonFault } from "./json-scan.ts";
import { type LongList, takeLongLists } from "./long-lists.ts";
import { requestViolations } from "./request-violations.ts";
import { taskItemsOf } from "./task-items.ts";
import { violationsIn } from "./validate.ts";

export interface RequestBytes {
  readonly bytes: Uint8Array;
  /** True for protobuf's binary format, false for JSON. */
  readonly isBinary: boolean;
}

/** The request as a structured clone. */
export interface NamedRequest extends RequestBytes {
  /** Full name of the message type: `mlxd.v1.GenerateRequest`. */
  readonly type: string;
}

export type ReadRequest =
  | {
      /** In binary format, without its long lists. */
      readonly message: Uint8Array;
      readonly lists: ReadonlyArray<LongList>;
      /** For a valid request that carries tasks: the violations of each of its items. */
      readonly ofItems: ReadonlyArray<ReadonlyArray<FieldViolation>>;
    }
  | { readonly violations: ReadonlyArray<FieldViolation> }
  /** The bytes cannot be decoded as this message. */
  | { readonly malformed: JsonFault };

export const readRequest = ({ type, ...request }: NamedRequest): ReadRequest => {
  const schema = registry.getMessage(type);
  if (schema === undefined) throw new Error(`no service takes ${type}`);
  const parsed = request.isBinary ? fromBytes(schema, request.bytes) : fromText(schema, request.bytes);
  if ("malformed" in parsed) return parsed;
  const { message } = parsed;
  const violations = requestViolations(schema, message);
  if (violations.length > 0) return { violations };
  const items = taskItemsOf(message) ?? [];
  const ofItems = items.map((item) => violationsIn(BatchItemSchema, item));
  const lists = takeLongLists(schema, message);
  return { message: toBinary(schema, message), lists, ofItems };
};

/** The messages of all services, since a request to any of them may be large enough to be decoded here. */
const registry = createRegistry(
  file_mlxd_v1_generation_service,
  file_mlxd_v1_job_service,
  file_mlxd_v1_embedding_service,
  file_mlxd_v1_tokenizer_service,
  file_mlxd_v1_model_service,
  file_mlxd_v1_cache_service,
  file_mlxd_v1_catalog_service,
  file_mlxd_v1_diagnostics_service,
  file_mlxd_v1_server_service,
  file_grpc_health_v1_health,
  file_xds_service_orca_v3_orca,
);

const malformed = (description: string, field = "") => ({ malformed: { field, description } });

const fromBytes = (schema: DescMessage, bytes: Uint8Array) => {
  try {
    return { message: fromBinary(schema, bytes) };
  } catch {
    return malformed("the request is no well-formed protobuf message");
  }
};

const fromText = (schema: DescMessage, bytes: Uint8Array) => {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return malformed("the request is not in UTF-8, as JSON has to be");
  }
  try {
    return { message: fromJson(schema, JSON.parse(text) as JsonValue) };
  } catch {
    const { field, description } = jsonFault(schema, text) ?? {};
    return malformed(description ?? "the request cannot be read as JSON", field);
  }
};
