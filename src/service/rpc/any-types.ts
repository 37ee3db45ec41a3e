/**
 * The messages that a google.protobuf.Any of this API may contain. Only JSON needs to know them: in binary format they
 * are opaque.
 */
import { createRegistry } from "@bufbuild/protobuf";

import { file_google_rpc_error_details } from "../../client/gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "../../client/gen/google/rpc/status_pb.ts";
import { file_mlxd_v1_error_details } from "../../client/gen/mlxd/v1/error_details_pb.ts";

/** No service imports these files, so reflection has to be given them separately. */
export const anyFiles = [file_mlxd_v1_error_details, file_google_rpc_error_details, file_google_rpc_status] as const;

export const anyTypes = createRegistry(...anyFiles);
