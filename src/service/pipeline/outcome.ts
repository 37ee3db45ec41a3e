/** Classifies the end of a call for the statistics. */
import { Cause, type Exit, Result } from "effect";

import type { Call } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { Outcome } from "../telemetry/Stats.ts";

/** @param cancelled whether CancelGeneration ended it; its caller gets a result then, not an error */
export const outcomeOf = (
  exit: Exit.Exit<unknown, ServiceError>,
  { isCut }: Pick<Call, "isCut">,
  cancelled = false,
): Outcome => {
  if (exit._tag === "Success") return cancelled ? "cancelled" : "succeeded";
  const error = Cause.findError(exit.cause);
  if (Result.isSuccess(error)) return outcomes[error.success._tag];
  return Cause.hasDies(exit.cause) || isCut() ? "failed" : "cancelled";
};

/** The model to count a call under that failed while its model was resolved; empty if no model was found. */
export const modelOfFailure = (error: ServiceError): string =>
  error._tag === "ModelBroken" ||
  error._tag === "ModelFilesMissing" ||
  error._tag === "ModelNotDownloaded" ||
  error._tag === "SandboxLost"
    ? error.model
    : "";

/**
 * `refused`: it was never started, because of its content, a lack of memory, or its time in the queue. `failed`: the fault is
 * in the service, the engine or the model's files.
 */
const outcomes = {
  CredentialsInvalid: "refused",
  CredentialsUnverifiable: "refused",
  RoleMissing: "refused",
  NotAllowed: "refused",
  QuotaExceeded: "refused",
  InvalidField: "refused",
  RequestMalformed: "refused",
  UnsupportedParameter: "refused",
  UnsupportedTask: "refused",
  ContextLengthExceeded: "refused",
  ModelNotFound: "refused",
  AdapterNotFound: "refused",
  UnknownBackend: "refused",
  EntryExists: "refused",
  EntryNotFound: "refused",
  BackendContextExceeded: "refused",
  BackendQuota: "refused",
  BackendRefused: "refused",
  ModelUnfit: "refused",
  ModelRevisionMismatch: "refused",
  ModelNotDownloaded: "refused",
  ModelFilesMissing: "refused",
  ModelTooLarge: "refused",
  ModelPoolFull: "refused",
  MemoryBudgetExceeded: "refused",
  ModelOperationConflict: "refused",
  QueueFull: "refused",
  QueueTimeout: "refused",
  InsufficientMemory: "refused",
  Draining: "refused",
  JobNotFound: "refused",
  JobConflict: "refused",
  JobGap: "refused",
  JobSealed: "refused",
  JobOver: "refused",
  JobTooLarge: "refused",
  SequenceOutOfRange: "refused",
  JobExpired: "cancelled",
  HostLost: "cancelled",
  JobStoreUnavailable: "failed",
  JobStoreUnusable: "failed",
  DeadlineExceeded: "cancelled",
  ClientStalled: "cancelled",
  BackendCredentials: "failed",
  BackendProtocol: "failed",
  BackendUnavailable: "failed",
  OutputInvalid: "failed",
  NoModelAnswers: "failed",
  ModelBroken: "failed",
  AdapterBroken: "failed",
  SandboxLost: "failed",
  EngineStartFailed: "failed",
  EngineUnavailable: "failed",
  OutOfMemory: "failed",
  EngineRestarting: "failed",
  EngineLost: "failed",
  ModelUnloaded: "failed",
  ModelChanged: "failed",
  ShutDown: "failed",
  ConfigurationInvalid: "failed",
  ModelAccessDenied: "failed",
  DownloadsOff: "failed",
  InsufficientDisk: "failed",
  ChecksumMismatch: "failed",
  DownloadFailed: "failed",
} as const satisfies Record<ServiceError["_tag"], Outcome>;
