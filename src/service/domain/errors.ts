/**
 * Every error that a caller can react to. Each class holds data; its message is one sentence with the received value
 * and the bound. The status codes are in one table, rpc/error-table.ts.
 */
import type {
  BackendContextExceeded,
  BackendCredentials,
  BackendProtocol,
  BackendQuota,
  BackendRefused,
  BackendUnavailable,
  OutputInvalid,
} from "./errors/backend.ts";
import type {
  CredentialsInvalid,
  CredentialsUnverifiable,
  NotAllowed,
  QuotaExceeded,
  RoleMissing,
} from "./errors/access.ts";
import type {
  ContextLengthExceeded,
  InvalidField,
  RequestMalformed,
  UnsupportedParameter,
  UnsupportedTask,
} from "./errors/request.ts";
import type {
  AdapterBroken,
  AdapterNotFound,
  ConfigurationInvalid,
  ModelBroken,
  ModelChanged,
  ModelFilesMissing,
  ModelNotDownloaded,
  ModelNotFound,
  ModelOperationConflict,
  ModelRevisionMismatch,
  ModelUnfit,
  EntryExists,
  EntryNotFound,
  NoModelAnswers,
  UnknownBackend,
} from "./errors/model.ts";
import type {
  InsufficientMemory,
  MemoryBudgetExceeded,
  ModelPoolFull,
  ModelTooLarge,
  OutOfMemory,
} from "./errors/memory.ts";
import type {
  EngineLost,
  EngineRestarting,
  EngineStartFailed,
  EngineUnavailable,
  ModelUnloaded,
  SandboxLost,
} from "./errors/engine.ts";
import type { ClientStalled, DeadlineExceeded, Draining, QueueFull, QueueTimeout, ShutDown } from "./errors/call.ts";
import type {
  ChecksumMismatch,
  DownloadFailed,
  DownloadsOff,
  InsufficientDisk,
  ModelAccessDenied,
} from "./errors/download.ts";

import type {
  HostLost,
  JobConflict,
  JobExpired,
  JobGap,
  JobNotFound,
  JobOver,
  JobSealed,
  JobStoreUnavailable,
  JobStoreUnusable,
  JobTooLarge,
  SequenceOutOfRange,
} from "./errors/job.ts";

export * from "./errors/access.ts";
export * from "./errors/backend.ts";
export * from "./errors/request.ts";
export * from "./errors/model.ts";
export * from "./errors/memory.ts";
export * from "./errors/engine.ts";
export * from "./errors/call.ts";
export * from "./errors/download.ts";
export * from "./errors/job.ts";
export type { Progress } from "./errors/progress.ts";

/** Why a model's files cannot be used. */
export type FilesUnusable = ModelBroken | ModelFilesMissing | ModelNotDownloaded | SandboxLost;

/** Why a model cannot be loaded. */
export type LoadFailure =
  | FilesUnusable
  | ModelChanged
  | EngineStartFailed
  | EngineUnavailable
  | OutOfMemory
  | ModelTooLarge
  | ModelPoolFull
  | MemoryBudgetExceeded
  | ModelOperationConflict;

/** Why jobs cannot be used at all. */
export type StoreFailure = JobStoreUnavailable | JobStoreUnusable;

/** Every error that a call can fail with. Bugs are defects and are not included. */
export type ServiceError =
  | CredentialsInvalid
  | CredentialsUnverifiable
  | RoleMissing
  | NotAllowed
  | QuotaExceeded
  | InvalidField
  | RequestMalformed
  | UnsupportedParameter
  | UnsupportedTask
  | ContextLengthExceeded
  | ModelNotFound
  | AdapterNotFound
  | AdapterBroken
  | UnknownBackend
  | EntryExists
  | EntryNotFound
  | BackendContextExceeded
  | BackendCredentials
  | BackendProtocol
  | BackendQuota
  | BackendRefused
  | BackendUnavailable
  | OutputInvalid
  | NoModelAnswers
  | ConfigurationInvalid
  | LoadFailure
  | ModelUnfit
  | ModelRevisionMismatch
  | ModelAccessDenied
  | DownloadsOff
  | InsufficientDisk
  | ChecksumMismatch
  | DownloadFailed
  | QueueFull
  | SandboxLost
  | InsufficientMemory
  | QueueTimeout
  | Draining
  | ShutDown
  | EngineRestarting
  | EngineLost
  | ModelUnloaded
  | DeadlineExceeded
  | ClientStalled
  | StoreFailure
  | JobNotFound
  | JobConflict
  | JobGap
  | JobSealed
  | JobOver
  | JobTooLarge
  | JobExpired
  | SequenceOutOfRange
  | HostLost;
