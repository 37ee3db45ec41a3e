/** What a google.protobuf.Any of the API may hold; only JSON has to know. */
import { createRegistry } from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { file_mlxd_v1_error_details } from "./gen/mlxd/v1/error_details_pb.ts";

/** The details of errors. */
export const anyTypes = createRegistry(file_google_rpc_error_details, file_mlxd_v1_error_details);
