/** Translates the failure of a call to the status that its caller sees. */
import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import { type Status, StatusSchema } from "../../client/gen/google/rpc/status_pb.ts";
import type { CallFailure } from "../calls/failure.ts";
import { ConfigurationInvalid, type ServiceError } from "../domain/errors.ts";
import {
  annotated,
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

/** A status, independent of whether it ends a call or belongs to an item of a batch. */
export interface WireError {
  readonly code: Code;
  readonly message: string;
  readonly details: ReadonlyArray<Detail>;
  /** Trailers of a gRPC call, headers of a Connect call. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Tells gRPC clients when to retry: https://github.com/grpc/proposal/blob/master/A6-client-retries.md */
const retryPushback = "grpc-retry-pushback-ms";

export const wireErrorFrom = (failure: ServiceError, lastSequence?: number): WireError => {
  const error = tellable(failure);
  const { code, reason } = errorTable[error._tag];
  return {
    code,
    message: truncateUtf8(withoutPaths(error.message), maxMessageBytes),
    details: withinCap([errorInfo(reason, metadataOf(error)), ...detailsOf(error, lastSequence)]),
    metadata: headersOf(error),
  };
};

const headersOf = (error: ServiceError): WireError["metadata"] => {
  if ("retryAfterMs" in error) return { [retryPushback]: String(Math.ceil(error.retryAfterMs)) };
  // A client that retries by its own policy is told that it would be in vain.
  if (error._tag === "QuotaExceeded") return { [retryPushback]: "-1" };
  // https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
  return error._tag === "CredentialsInvalid" ? { "www-authenticate": "Bearer" } : {};
};

/** The location of the configuration file is none of a caller's business. */
const tellable = (error: ServiceError): ServiceError =>
  error._tag === "ConfigurationInvalid" ? new ConfigurationInvalid({ ...error, file: basename(error.file) }) : error;

export const wireErrorFromFailure = (failure: CallFailure): WireError => {
  switch (failure.type) {
    case "error":
      return wireErrorFrom(failure.error, failure.lastSequence);
    case "defect":
      return internalError(failure.requestId);
    case "left":
      return cancelled;
  }
};

/** Adds the id of the call's trace to the metadata of its ErrorInfo. */
export const withTraceId = (error: WireError, traceId: string | undefined): WireError =>
  traceId === undefined ? error : { ...error, details: error.details.map((each) => annotated(each, { traceId })) };

export const connectErrorFrom = ({ message, code, metadata, details }: WireError): ConnectError =>
  new ConnectError(message, code, metadata, [...details]);

export const statusFrom = ({ code, message, details }: WireError): Status =>
  create(StatusSchema, { code, message, details: details.map(({ desc, value }) => anyPack(desc, value)) });

const cancelled: WireError = {
  code: Code.Canceled,
  message: "the caller left",
  details: [errorInfo("CANCELLED", {})],
  metadata: {},
};

/** A bug. The details are logged under this id. */
const internalError = (requestId: string): WireError => ({
  code: Code.Internal,
  message: `internal error; the service's log has its cause under request ${requestId}`,
  details: [errorInfo("INTERNAL", { requestId })],
  metadata: {},
});
