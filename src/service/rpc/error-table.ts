/** The status code and reason of every service error. This is the only place that decides them. */
import { Code } from "@connectrpc/connect";

import type { ErrorReason } from "../../client/gen/mlxd/v1/error_details_pb.ts";
import type { ServiceError } from "../domain/errors.ts";

export interface WireStatus {
  readonly code: Code;
  /** `reason` of google.rpc.ErrorInfo. */
  readonly reason: keyof typeof ErrorReason;
}

export const errorTable = {
  CredentialsInvalid: { code: Code.Unauthenticated, reason: "CREDENTIALS_INVALID" },
  CredentialsUnverifiable: { code: Code.Unavailable, reason: "CREDENTIALS_UNVERIFIABLE" },
  QuotaExceeded: { code: Code.ResourceExhausted, reason: "QUOTA" },
  NotAllowed: { code: Code.PermissionDenied, reason: "NOT_ALLOWED" },
  RoleMissing: { code: Code.PermissionDenied, reason: "ROLE_MISSING" },
  InvalidField: { code: Code.InvalidArgument, reason: "INVALID_FIELD" },
  RequestMalformed: { code: Code.InvalidArgument, reason: "MALFORMED_REQUEST" },
  UnsupportedParameter: { code: Code.InvalidArgument, reason: "UNSUPPORTED_PARAMETER" },
  UnsupportedTask: { code: Code.InvalidArgument, reason: "UNSUPPORTED_TASK" },
  ContextLengthExceeded: { code: Code.InvalidArgument, reason: "CONTEXT_LENGTH_EXCEEDED" },
  ModelNotFound: { code: Code.NotFound, reason: "MODEL_NOT_FOUND" },
  AdapterNotFound: { code: Code.NotFound, reason: "ADAPTER_NOT_FOUND" },
  AdapterBroken: { code: Code.FailedPrecondition, reason: "ADAPTER_BROKEN" },
  EntryExists: { code: Code.AlreadyExists, reason: "ENTRY_EXISTS" },
  EntryNotFound: { code: Code.NotFound, reason: "ENTRY_NOT_FOUND" },
  UnknownBackend: { code: Code.InvalidArgument, reason: "UNKNOWN_BACKEND" },
  BackendContextExceeded: { code: Code.InvalidArgument, reason: "CONTEXT_LENGTH_EXCEEDED" },
  // Not UNAUTHENTICATED or PERMISSION_DENIED: the service lacks permission there, not the caller here.
  BackendCredentials: { code: Code.FailedPrecondition, reason: "BACKEND_CREDENTIALS" },
  BackendProtocol: { code: Code.Internal, reason: "BACKEND_PROTOCOL" },
  BackendQuota: { code: Code.ResourceExhausted, reason: "QUOTA" },
  BackendRefused: { code: Code.InvalidArgument, reason: "BACKEND_REFUSED" },
  BackendUnavailable: { code: Code.Unavailable, reason: "BACKEND_UNAVAILABLE" },
  // Not INTERNAL: another try may well succeed. Not UNAVAILABLE: it would be paid for unasked.
  OutputInvalid: { code: Code.Aborted, reason: "OUTPUT_INVALID" },
  NoModelAnswers: { code: Code.Unavailable, reason: "NO_MODEL_ANSWERS" },
  ConfigurationInvalid: { code: Code.FailedPrecondition, reason: "CONFIGURATION_INVALID" },
  ModelBroken: { code: Code.FailedPrecondition, reason: "MODEL_BROKEN" },
  ModelFilesMissing: { code: Code.NotFound, reason: "MODEL_FILES_MISSING" },
  ModelNotDownloaded: { code: Code.FailedPrecondition, reason: "MODEL_NOT_DOWNLOADED" },
  ModelTooLarge: { code: Code.FailedPrecondition, reason: "MODEL_TOO_LARGE" },
  ModelPoolFull: { code: Code.ResourceExhausted, reason: "MODEL_POOL_FULL" },
  MemoryBudgetExceeded: { code: Code.ResourceExhausted, reason: "MEMORY_BUDGET_EXCEEDED" },
  ModelOperationConflict: { code: Code.Aborted, reason: "MODEL_OPERATION_CONFLICT" },
  EngineUnavailable: { code: Code.FailedPrecondition, reason: "ENGINE_UNAVAILABLE" },
  OutOfMemory: { code: Code.ResourceExhausted, reason: "OUT_OF_MEMORY" },
  EngineStartFailed: { code: Code.Unavailable, reason: "ENGINE_START_FAILED" },
  ModelChanged: { code: Code.Unavailable, reason: "MODEL_CHANGED" },
  ModelUnfit: { code: Code.FailedPrecondition, reason: "MODEL_UNFIT" },
  ModelRevisionMismatch: { code: Code.FailedPrecondition, reason: "MODEL_REVISION_MISMATCH" },
  // Not PERMISSION_DENIED: the service lacks permission at the hub, not the caller here.
  ModelAccessDenied: { code: Code.FailedPrecondition, reason: "MODEL_ACCESS_DENIED" },
  DownloadsOff: { code: Code.FailedPrecondition, reason: "DOWNLOADS_OFF" },
  InsufficientDisk: { code: Code.ResourceExhausted, reason: "INSUFFICIENT_DISK" },
  ChecksumMismatch: { code: Code.DataLoss, reason: "CHECKSUM_MISMATCH" },
  DownloadFailed: { code: Code.Unavailable, reason: "DOWNLOAD_FAILED" },
  QueueFull: { code: Code.ResourceExhausted, reason: "QUEUE_FULL" },
  SandboxLost: { code: Code.Unavailable, reason: "SANDBOX_LOST" },
  InsufficientMemory: { code: Code.ResourceExhausted, reason: "INSUFFICIENT_MEMORY" },
  QueueTimeout: { code: Code.Unavailable, reason: "QUEUE_TIMEOUT" },
  Draining: { code: Code.Unavailable, reason: "DRAINING" },
  // Not UNAVAILABLE, which clients retry by policy: part of the stream was already delivered.
  ShutDown: { code: Code.Aborted, reason: "SHUT_DOWN" },
  EngineRestarting: { code: Code.Unavailable, reason: "ENGINE_RESTARTING" },
  // Not UNAVAILABLE, which clients retry by policy: these tokens were already delivered.
  EngineLost: { code: Code.Aborted, reason: "ENGINE_LOST" },
  ModelUnloaded: { code: Code.Aborted, reason: "MODEL_UNLOADED" },
  DeadlineExceeded: { code: Code.DeadlineExceeded, reason: "DEADLINE" },
  JobNotFound: { code: Code.NotFound, reason: "JOB_NOT_FOUND" },
  JobConflict: { code: Code.AlreadyExists, reason: "JOB_CONFLICT" },
  JobGap: { code: Code.OutOfRange, reason: "JOB_GAP" },
  JobSealed: { code: Code.FailedPrecondition, reason: "JOB_SEALED" },
  JobOver: { code: Code.FailedPrecondition, reason: "JOB_OVER" },
  JobTooLarge: { code: Code.InvalidArgument, reason: "JOB_TOO_LARGE" },
  JobExpired: { code: Code.DeadlineExceeded, reason: "JOB_EXPIRED" },
  SequenceOutOfRange: { code: Code.OutOfRange, reason: "SEQUENCE_OUT_OF_RANGE" },
  JobStoreUnavailable: { code: Code.Unavailable, reason: "JOB_STORE_UNAVAILABLE" },
  JobStoreUnusable: { code: Code.FailedPrecondition, reason: "JOB_STORE_UNUSABLE" },
  HostLost: { code: Code.Unavailable, reason: "HOST_LOST" },
  ClientStalled: { code: Code.ResourceExhausted, reason: "CLIENT_STALLED" },
} as const satisfies Record<ServiceError["_tag"], WireStatus>;
