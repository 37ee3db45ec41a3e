/** After which failures an item is tried again, and when. */
import type { ServiceError } from "../domain/errors.ts";
import type { ItemFailure } from "../domain/job.ts";

/**
 * `again`: another attempt may succeed. `final`: it would fail again. `uncounted`: nothing was tried, because the host
 * is ending or full, or a quota is spent; the attempt does not count towards the limit. A bug is tried again, because
 * it may depend on chance.
 */
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
  EntryExists: "final",
  EntryNotFound: "final",
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
  // The resources may be free later.
  InsufficientMemory: "again",
  ModelPoolFull: "again",
  MemoryBudgetExceeded: "again",
  OutOfMemory: "again",
  InsufficientDisk: "again",
  QueueTimeout: "again",
  // The engine ended, or was busy with something else.
  ModelOperationConflict: "again",
  EngineStartFailed: "again",
  EngineRestarting: "again",
  EngineLost: "again",
  ModelUnloaded: "again",
  ModelChanged: "again",
  SandboxLost: "again",
  ChecksumMismatch: "again",
  DownloadFailed: "again",
  DeadlineExceeded: "again",
  ClientStalled: "again",
  // A backend may come back, or give a readable answer next time.
  BackendUnavailable: "again",
  BackendQuota: "again",
  BackendProtocol: "again",
  NoModelAnswers: "again",
  OutputInvalid: "again",
  JobStoreUnavailable: "again",
  // The host has no place or is ending, or the tenant has spent its quota for now.
  QuotaExceeded: "uncounted",
  QueueFull: "uncounted",
  Draining: "uncounted",
  ShutDown: "uncounted",
  HostLost: "uncounted",
} as const satisfies Record<ServiceError["_tag"], "final" | "again" | "uncounted">;

const firstBackoffMs = 1_000;
/** No item waits longer than this for its next attempt. */
export const longestBackoffMs = 60_000;

interface NextAttempt {
  readonly afterMs: number;
  /** Whether the failed attempt counts towards the limit. */
  readonly counts: boolean;
}

/** An item that has failed: the number of its attempt, how many attempts counted before, and the limit. */
interface FailedItem {
  readonly attempt: number;
  readonly counted: number;
  readonly maxAttempts: number;
}

/** When the next attempt begins; undefined if there is none. */
export const nextAttempt = (failure: ItemFailure, item: FailedItem): NextAttempt | undefined => {
  const kind = failure.type === "error" ? policy[failure.error._tag] : "again";
  const counts = kind !== "uncounted";
  // The item alone exceeds its tenant's limit.
  if (failure.type === "error" && failure.error._tag === "QuotaExceeded" && failure.error.retryAfterMs === undefined)
    return undefined;
  if (kind === "final" || (counts && item.counted + 1 >= item.maxAttempts)) return undefined;
  const backoffMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(item.attempt - 1, 10));
  const asked = (failure.type === "error" && "retryAfterMs" in failure.error && failure.error.retryAfterMs) || 0;
  return { afterMs: Math.max(backoffMs, Math.min(asked, longestBackoffMs)), counts };
};
