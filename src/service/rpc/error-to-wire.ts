/** Whatever a call ended with instead of a result, as the status that its caller sees. */
import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Cause, Result } from "effect";

import { type Status, StatusSchema } from "../../client/gen/google/rpc/status_pb.ts";
import { ConfigurationInvalid, Draining, type Progress, type ServiceError, ShutDown } from "../domain/errors.ts";
import {
  type Detail,
  detailsOf,
  errorInfo,
  maxMessageBytes,
  metadataOf,
  truncateUtf8,
  withinCap,
  withoutPaths,
} from "./error-details.ts";
import { errorTable } from "./error-table.ts";

/** A status before it is known how it travels: as the end of a call, or as an item of a batch. */
export interface WireError {
  readonly code: Code;
  readonly message: string;
  readonly details: ReadonlyArray<Detail>;
  /** Trailers of a gRPC call, headers of a Connect call. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FailedCall {
  /** Names the call in the log, where the cause of a defect is. */
  readonly requestId: string;
  /** `sequence` of the last message that was sent. */
  readonly lastSequence?: number | undefined;
  /** How far the generation has come, if it is one. */
  readonly progress?: Progress | undefined;
  /** A stream that runs until its caller leaves, and that is begun anew elsewhere. */
  readonly endless?: boolean;
}

/** By then a supervisor has started the next process, or a load balancer looked elsewhere. */
export const drainingRetryAfterMs = 1000;

/** Tells a gRPC client when to retry: https://github.com/grpc/proposal/blob/master/A6-client-retries.md */
const retryPushback = "grpc-retry-pushback-ms";

export const wireErrorFrom = (failure: ServiceError, lastSequence?: number): WireError => {
  const error = tellable(failure);
  const { code, reason } = errorTable[error._tag];
  return {
    code,
    message: truncateUtf8(withoutPaths(error.message), maxMessageBytes),
    details: withinCap([errorInfo(reason, metadataOf(error)), ...detailsOf(error, lastSequence)]),
    metadata: "retryAfterMs" in error ? { [retryPushback]: String(Math.ceil(error.retryAfterMs)) } : {},
  };
};

/** Where the configuration file lies is nobody's business. */
const tellable = (error: ServiceError): ServiceError =>
  error._tag === "ConfigurationInvalid" ? new ConfigurationInvalid({ ...error, file: basename(error.file) }) : error;

/** The first expected failure decides; then a defect, of which only the request's id is told; then interruption. */
export const wireErrorFromCause = (cause: Cause.Cause<ServiceError>, call: FailedCall): WireError => {
  const failure = Cause.findError(cause);
  if (Result.isSuccess(failure)) return wireErrorFrom(failure.success, call.lastSequence);
  if (Cause.hasDies(cause)) return internalError(call.requestId);
  // Interrupted, but not because its caller left: the service is ending and its grace time is over.
  if (call.lastSequence === undefined || call.endless === true) {
    return wireErrorFrom(new Draining({ retryAfterMs: drainingRetryAfterMs }));
  }
  const { progress, lastSequence } = call;
  return wireErrorFrom(new ShutDown(progress === undefined ? {} : { progress }), lastSequence);
};

export const connectErrorFrom = ({ message, code, metadata, details }: WireError): ConnectError =>
  new ConnectError(message, code, metadata, [...details]);

export const statusFrom = ({ code, message, details }: WireError): Status =>
  create(StatusSchema, { code, message, details: details.map(({ desc, value }) => anyPack(desc, value)) });

export const cancelled: WireError = {
  code: Code.Canceled,
  message: "the caller left",
  details: [errorInfo("CANCELLED", {})],
  metadata: {},
};

/** A bug. What it was stands in the log under this id. */
const internalError = (requestId: string): WireError => ({
  code: Code.Internal,
  message: `internal error; the service's log has its cause under request ${requestId}`,
  details: [errorInfo("INTERNAL", { requestId })],
  metadata: {},
});
