/** What a call's end counts as in the statistics. */
import { Cause, type Exit, Result } from "effect";

import type { Call } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { Outcome } from "../telemetry/Stats.ts";

/** @param cancelled it was ended by CancelGeneration, which its caller sees as a result */
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

/** The model whose statistics a call belongs to that failed before its model was looked up: empty where there is none. */
export const modelOfFailure = (error: ServiceError): string =>
  error._tag === "ModelBroken" ||
  error._tag === "ModelFilesMissing" ||
  error._tag === "ModelNotDownloaded" ||
  error._tag === "SandboxLost"
    ? error.model
    : "";

/**
 * `refused`: it was not begun, for what it asks, for lack of room or of time in the queue. `failed`: the service, the
 * engine or the model's files did not do what they should.
 */
const outcomes = {
  CredentialsInvalid: "refused",
  RoleMissing: "refused",
  InvalidField: "refused",
  RequestMalformed: "refused",
  UnsupportedParameter: "refused",
  UnsupportedTask: "refused",
  ContextLengthExceeded: "refused",
  ModelNotFound: "refused",
  AdapterNotFound: "refused",
  UnknownBackend: "refused",
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
  DeadlineExceeded: "cancelled",
  ClientStalled: "cancelled",
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
