/** Requests that carry tasks as items: what is wrong with one task is that item's failure, and not the request's. */
import { isMessage, type Message } from "@bufbuild/protobuf";

import { type BatchItem, BatchGenerateRequestSchema } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { AppendJobItemsRequestSchema, CreateJobRequestSchema } from "../../client/gen/mlxd/v1/job_service_pb.ts";

/** Undefined of a request that has none. */
export const taskItemsOf = (message: Message): ReadonlyArray<BatchItem> | undefined =>
  isMessage(message, BatchGenerateRequestSchema) ||
  isMessage(message, CreateJobRequestSchema) ||
  isMessage(message, AppendJobItemsRequestSchema)
    ? message.items
    : undefined;
