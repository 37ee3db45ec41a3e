/** Which failures of an item another attempt may mend, and when it begins. */
import type { ServiceError } from "../domain/errors.ts";
import type { ItemFailure } from "../domain/job.ts";

/** `final`: it would fail again. A bug is tried again, as one that is met by chance may not be met twice. */
const policy = {
  InvalidField: "final",
  RequestMalformed: "final",
  UnsupportedParameter: "final",
  UnsupportedTask: "final",
  ContextLengthExceeded: "final",
  ModelNotFound: "final",
  AdapterNotFound: "final",
  AdapterBroken: "final",
  UnknownBackend: "final",
  BackendContextExceeded: "final",
  BackendCredentials: "final",
  BackendRefused: "final",
  ConfigurationInvalid: "final",
  ModelBroken: "final",
  ModelFilesMissing: "final",
  ModelNotDownloaded: "final",
  ModelTooLarge: "final",
  ModelUnfit: "final",
  ModelRevisionMismatch: "final",
  ModelAccessDenied: "final",
  DownloadsOff: "final",
  EngineUnavailable: "final",
  CredentialsInvalid: "final",
  CredentialsUnverifiable: "final",
  RoleMissing: "final",
  NotAllowed: "final",
  JobNotFound: "final",
  JobConflict: "final",
  JobGap: "final",
  JobSealed: "final",
  JobOver: "final",
  JobTooLarge: "final",
  JobExpired: "final",
  SequenceOutOfRange: "final",
  JobStoreUnusable: "final",
  // What it needs may be free later.
  InsufficientMemory: "again",
  ModelPoolFull: "again",
  MemoryBudgetExceeded: "again",
  OutOfMemory: "again",
  InsufficientDisk: "again",
  QuotaExceeded: "again",
  QueueFull: "again",
  QueueTimeout: "again",
  // What ran it ended, or was busy with something else.
  ModelOperationConflict: "again",
  EngineStartFailed: "again",
  EngineRestarting: "again",
  EngineLost: "again",
  ModelUnloaded: "again",
  ModelChanged: "again",
  SandboxLost: "again",
  ChecksumMismatch: "again",
  DownloadFailed: "again",
  Draining: "again",
  ShutDown: "again",
  DeadlineExceeded: "again",
  ClientStalled: "again",
  // Another server: it may come back, or answer in a way that can be read.
  BackendUnavailable: "again",
  BackendQuota: "again",
  BackendProtocol: "again",
  NoModelAnswers: "again",
  OutputInvalid: "again",
  JobStoreUnavailable: "again",
  HostLost: "again",
} as const satisfies Record<ServiceError["_tag"], "final" | "again">;

const firstBackoffMs = 1_000;
const longestBackoffMs = 60_000;

/**
 * How long to wait before the next attempt; undefined where there is none.
 *
 * @param counted attempts so far, this one included
 */
export const retryAfterMs = (failure: ItemFailure, counted: number, maxAttempts: number): number | undefined => {
  const isOfQuota = failure.type === "error" && failure.error._tag === "QuotaExceeded";
  if (counted >= maxAttempts && !isOfQuota) return undefined;
  // It takes more alone than its tenant may ever use.
  if (isOfQuota && failure.error.retryAfterMs === undefined) return undefined;
  if (failure.type === "error" && policy[failure.error._tag] === "final") return undefined;
  const backoffMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (counted - 1));
  const asked = (failure.type === "error" && "retryAfterMs" in failure.error && failure.error.retryAfterMs) || 0;
  return Math.max(backoffMs, Math.min(asked, longestBackoffMs));
};

/** Whether an attempt that failed so is one of those that an item may have: it may wait for its tenant's quota as long as it takes. */
export const isCounted = (failure: ItemFailure): boolean =>
  failure.type !== "error" || failure.error._tag !== "QuotaExceeded";
