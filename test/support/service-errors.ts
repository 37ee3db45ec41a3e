/** One of each error that a call can fail with, and what its caller has to see of it. */
import { Code } from "@connectrpc/connect";

import * as errors from "../../src/service/domain/errors.ts";

export interface ErrorCase {
  readonly error: errors.ServiceError;
  readonly code: Code;
  readonly reason: string;
  /** Metadata of ErrorInfo. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
}

const progress: errors.Progress = {
  generationId: "gen_7",
  usage: { promptTokens: 9, cachedPromptTokens: 3, outputTokens: 4 },
};

/** By tag, so that a new error does not compile until it has a case. */
const byTag: Record<errors.ServiceError["_tag"], ErrorCase> = {
  CredentialsInvalid: {
    error: new errors.CredentialsInvalid({ problem: "the API key has expired" }),
    code: Code.Unauthenticated,
    reason: "CREDENTIALS_INVALID",
    metadata: { problem: "the API key has expired" },
  },
  RoleMissing: {
    error: new errors.RoleMissing({ tenant: "acme", needed: ["models", "admin"], roles: ["inference"] }),
    code: Code.PermissionDenied,
    reason: "ROLE_MISSING",
    metadata: { tenant: "acme", needed: "models, admin", roles: "inference" },
  },
  CredentialsUnverifiable: {
    error: new errors.CredentialsUnverifiable({ retryAfterMs: 5000 }),
    code: Code.Unavailable,
    reason: "CREDENTIALS_UNVERIFIABLE",
    metadata: {},
    retryAfterMs: 5000,
  },
  NotAllowed: {
    error: new errors.NotAllowed({ tenant: "acme", what: "model", asked: "tiny", allowed: "demo, qwen3-*" }),
    code: Code.PermissionDenied,
    reason: "NOT_ALLOWED",
    metadata: { tenant: "acme", what: "model", asked: "tiny", allowed: "demo, qwen3-*" },
  },
  QuotaExceeded: {
    error: new errors.QuotaExceeded({ tenant: "acme", limit: "requests_per_minute", value: 60, retryAfterMs: 1500 }),
    code: Code.ResourceExhausted,
    reason: "QUOTA",
    metadata: { tenant: "acme", limit: "requests_per_minute", value: "60" },
    retryAfterMs: 1500,
  },
  InvalidField: {
    error: new errors.InvalidField({ violations: [{ field: "task.x", description: "7 is odd" }] }),
    code: Code.InvalidArgument,
    reason: "INVALID_FIELD",
    metadata: {},
  },
  RequestMalformed: {
    error: new errors.RequestMalformed({ field: "task.x", description: "it is a text" }),
    code: Code.InvalidArgument,
    reason: "MALFORMED_REQUEST",
    metadata: {},
  },
  UnsupportedParameter: {
    error: new errors.UnsupportedParameter({ field: "task.adapter", model: "demo", hint: "leave it out" }),
    code: Code.InvalidArgument,
    reason: "UNSUPPORTED_PARAMETER",
    metadata: { field: "task.adapter", model: "demo" },
  },
  UnsupportedTask: {
    error: new errors.UnsupportedTask({ task: "vision", model: "demo" }),
    code: Code.InvalidArgument,
    reason: "UNSUPPORTED_TASK",
    metadata: { task: "vision", model: "demo" },
  },
  ContextLengthExceeded: {
    error: new errors.ContextLengthExceeded({
      promptTokens: 500,
      maxOutputTokens: 100,
      contextLength: 512,
      estimated: false,
    }),
    code: Code.InvalidArgument,
    reason: "CONTEXT_LENGTH_EXCEEDED",
    metadata: { promptTokens: "500", maxOutputTokens: "100", contextLength: "512" },
  },
  ModelNotFound: {
    error: new errors.ModelNotFound({ model: "dmeo", nearest: ["demo", "demo-2"] }),
    code: Code.NotFound,
    reason: "MODEL_NOT_FOUND",
    metadata: { model: "dmeo", nearest: "demo, demo-2" },
  },
  AdapterNotFound: {
    error: new errors.AdapterNotFound({ adapter: "plite", model: "demo", known: ["polite", "terse"] }),
    code: Code.NotFound,
    reason: "ADAPTER_NOT_FOUND",
    metadata: { adapter: "plite", model: "demo", known: "polite, terse" },
  },
  AdapterBroken: {
    error: new errors.AdapterBroken({ adapter: "polite", model: "demo", cause: "adapters.safetensors is missing" }),
    code: Code.FailedPrecondition,
    reason: "ADAPTER_BROKEN",
    metadata: { adapter: "polite", model: "demo", cause: "adapters.safetensors is missing" },
  },
  EntryExists: {
    error: new errors.EntryExists({ kind: "backend", name: "attic" }),
    code: Code.AlreadyExists,
    reason: "ENTRY_EXISTS",
    metadata: { kind: "backend", name: "attic" },
  },
  EntryNotFound: {
    error: new errors.EntryNotFound({ kind: "model", name: "quen", nearest: ["qwen"] }),
    code: Code.NotFound,
    reason: "ENTRY_NOT_FOUND",
    metadata: { kind: "model", name: "quen", nearest: "qwen" },
  },
  UnknownBackend: {
    error: new errors.UnknownBackend({ backend: "ollama", known: ["mlx"] }),
    code: Code.InvalidArgument,
    reason: "UNKNOWN_BACKEND",
    metadata: { backend: "ollama", known: "mlx" },
  },
  BackendContextExceeded: {
    error: new errors.BackendContextExceeded({ model: "demo", backend: "attic", words: "too many tokens" }),
    code: Code.InvalidArgument,
    reason: "CONTEXT_LENGTH_EXCEEDED",
    metadata: { model: "demo", backend: "attic", words: "too many tokens" },
  },
  BackendCredentials: {
    error: new errors.BackendCredentials({ model: "demo", backend: "attic", status: 401 }),
    code: Code.FailedPrecondition,
    reason: "BACKEND_CREDENTIALS",
    metadata: { model: "demo", backend: "attic", status: "401" },
  },
  BackendProtocol: {
    error: new errors.BackendProtocol({ model: "demo", backend: "attic", cause: "it is no JSON" }),
    code: Code.Internal,
    reason: "BACKEND_PROTOCOL",
    metadata: { model: "demo", backend: "attic", cause: "it is no JSON" },
  },
  NoModelAnswers: {
    error: new errors.NoModelAnswers({ models: ["a", "b"], problems: ["a is full", "b is gone"], retryAfterMs: 50 }),
    code: Code.Unavailable,
    reason: "NO_MODEL_ANSWERS",
    metadata: { models: "a, b", problems: "a is full, b is gone", retryAfterMs: "50" },
    retryAfterMs: 50,
  },
  OutputInvalid: {
    error: new errors.OutputInvalid({ model: "demo", problem: "it holds no JSON" }),
    code: Code.Aborted,
    reason: "OUTPUT_INVALID",
    metadata: { model: "demo", problem: "it holds no JSON" },
  },
  BackendQuota: {
    error: new errors.BackendQuota({ model: "demo", backend: "attic", retryAfterMs: 7000 }),
    code: Code.ResourceExhausted,
    reason: "QUOTA",
    metadata: { model: "demo", backend: "attic", retryAfterMs: "7000" },
    retryAfterMs: 7000,
  },
  BackendRefused: {
    error: new errors.BackendRefused({ model: "demo", backend: "attic", status: 400, words: "no" }),
    code: Code.InvalidArgument,
    reason: "BACKEND_REFUSED",
    metadata: { model: "demo", backend: "attic", status: "400", words: "no" },
  },
  BackendUnavailable: {
    error: new errors.BackendUnavailable({
      model: "demo",
      backend: "attic",
      cause: "connect_refused",
      retryAfterMs: 1000,
    }),
    code: Code.Unavailable,
    reason: "BACKEND_UNAVAILABLE",
    metadata: { model: "demo", backend: "attic", cause: "connect_refused", retryAfterMs: "1000" },
    retryAfterMs: 1000,
  },
  ConfigurationInvalid: {
    error: new errors.ConfigurationInvalid({
      file: "/srv/secret/mlxd.yaml",
      line: 7,
      key: "models.demo.ttl",
      problem: "a time is a whole number and s, m, h or d",
    }),
    code: Code.FailedPrecondition,
    reason: "CONFIGURATION_INVALID",
    metadata: { file: "mlxd.yaml", line: "7", key: "models.demo.ttl" },
  },
  ModelBroken: {
    error: new errors.ModelBroken({ model: "demo", cause: "/srv/secret/models/demo/config.json is no JSON" }),
    code: Code.FailedPrecondition,
    reason: "MODEL_BROKEN",
    metadata: { model: "demo", cause: "<path> is no JSON" },
  },
  ModelFilesMissing: {
    error: new errors.ModelFilesMissing({ model: "demo", cause: "its folder is not in the model folder" }),
    code: Code.NotFound,
    reason: "MODEL_FILES_MISSING",
    metadata: { model: "demo", cause: "its folder is not in the model folder" },
  },
  ModelNotDownloaded: {
    error: new errors.ModelNotDownloaded({ model: "chat", repository: "mlx-community/Qwen3-8B-4bit" }),
    code: Code.FailedPrecondition,
    reason: "MODEL_NOT_DOWNLOADED",
    metadata: { model: "chat", repository: "mlx-community/Qwen3-8B-4bit" },
  },
  ModelTooLarge: {
    error: new errors.ModelTooLarge({ model: "demo", neededBytes: 9000, availableBytes: 10 }),
    code: Code.FailedPrecondition,
    reason: "MODEL_TOO_LARGE",
    metadata: { model: "demo", neededBytes: "9000", availableBytes: "10" },
  },
  ModelPoolFull: {
    error: new errors.ModelPoolFull({
      model: "demo",
      neededBytes: 900,
      availableBytes: 10,
      budgetBytes: 1000,
      loadedModels: 2,
      maxLoadedModels: 4,
      waitedMs: 50,
      retryAfterMs: 1000,
    }),
    code: Code.ResourceExhausted,
    reason: "MODEL_POOL_FULL",
    metadata: {
      model: "demo",
      neededBytes: "900",
      availableBytes: "10",
      budgetBytes: "1000",
      loadedModels: "2",
      maxLoadedModels: "4",
    },
    retryAfterMs: 1000,
  },
  MemoryBudgetExceeded: {
    error: new errors.MemoryBudgetExceeded({
      model: "demo",
      residentBytes: 900,
      reservedBytes: 700,
      budgetBytes: 1000,
      retryAfterMs: 1000,
    }),
    code: Code.ResourceExhausted,
    reason: "MEMORY_BUDGET_EXCEEDED",
    metadata: { model: "demo", residentBytes: "900", reservedBytes: "700", budgetBytes: "1000" },
    retryAfterMs: 1000,
  },
  ModelOperationConflict: {
    error: new errors.ModelOperationConflict({ model: "demo", asked: "load", running: "unload" }),
    code: Code.Aborted,
    reason: "MODEL_OPERATION_CONFLICT",
    metadata: { model: "demo", asked: "load", running: "unload" },
  },
  EngineUnavailable: {
    error: new errors.EngineUnavailable({ model: "demo", engine: "mlx", cause: "its binding is missing" }),
    code: Code.FailedPrecondition,
    reason: "ENGINE_UNAVAILABLE",
    metadata: { model: "demo", engine: "mlx", cause: "its binding is missing" },
  },
  OutOfMemory: {
    error: new errors.OutOfMemory({ model: "demo", cause: "std::bad_alloc", retryAfterMs: 5000 }),
    code: Code.ResourceExhausted,
    reason: "OUT_OF_MEMORY",
    metadata: { model: "demo", cause: "std::bad_alloc" },
    retryAfterMs: 5000,
  },
  EngineStartFailed: {
    error: new errors.EngineStartFailed({ model: "demo", cause: "signal SIGKILL", retryAfterMs: 5000 }),
    code: Code.Unavailable,
    reason: "ENGINE_START_FAILED",
    metadata: { model: "demo", cause: "signal SIGKILL" },
    retryAfterMs: 5000,
  },
  ModelChanged: {
    error: new errors.ModelChanged({ model: "demo", retryAfterMs: 1000 }),
    code: Code.Unavailable,
    reason: "MODEL_CHANGED",
    metadata: { model: "demo" },
    retryAfterMs: 1000,
  },
  ModelUnfit: {
    error: new errors.ModelUnfit({ model: "demo", finding: "runaway repetition" }),
    code: Code.FailedPrecondition,
    reason: "MODEL_UNFIT",
    metadata: { model: "demo", finding: "runaway repetition" },
  },
  ModelRevisionMismatch: {
    error: new errors.ModelRevisionMismatch({ model: "demo", asked: "r2", loaded: "r1" }),
    code: Code.FailedPrecondition,
    reason: "MODEL_REVISION_MISMATCH",
    metadata: { model: "demo", asked: "r2", loaded: "r1" },
  },
  ModelAccessDenied: {
    error: new errors.ModelAccessDenied({ model: "org/gated", hint: "accept its terms" }),
    code: Code.FailedPrecondition,
    reason: "MODEL_ACCESS_DENIED",
    metadata: { model: "org/gated", hint: "accept its terms" },
  },
  DownloadsOff: {
    error: new errors.DownloadsOff({ model: "org/far", hint: "MLXD_OFFLINE is set" }),
    code: Code.FailedPrecondition,
    reason: "DOWNLOADS_OFF",
    metadata: { model: "org/far", hint: "MLXD_OFFLINE is set" },
  },
  InsufficientDisk: {
    error: new errors.InsufficientDisk({ model: "org/big", neededBytes: 9000, availableBytes: 10 }),
    code: Code.ResourceExhausted,
    reason: "INSUFFICIENT_DISK",
    metadata: { model: "org/big", neededBytes: "9000", availableBytes: "10" },
  },
  ChecksumMismatch: {
    error: new errors.ChecksumMismatch({ model: "org/odd", file: "model.safetensors", attempts: 3 }),
    code: Code.DataLoss,
    reason: "CHECKSUM_MISMATCH",
    metadata: { model: "org/odd", file: "model.safetensors", attempts: "3" },
  },
  DownloadFailed: {
    error: new errors.DownloadFailed({ model: "org/far", cause: "no answer", retryAfterMs: 5000 }),
    code: Code.Unavailable,
    reason: "DOWNLOAD_FAILED",
    metadata: { model: "org/far", cause: "no answer" },
    retryAfterMs: 5000,
  },
  QueueFull: {
    error: new errors.QueueFull({ model: "demo", limit: 8, retryAfterMs: 1500 }),
    code: Code.ResourceExhausted,
    reason: "QUEUE_FULL",
    metadata: { model: "demo", limit: "8" },
    retryAfterMs: 1500,
  },
  SandboxLost: {
    error: new errors.SandboxLost({ model: "demo", cause: "tokenising it lost its process", retryAfterMs: 1000 }),
    code: Code.Unavailable,
    reason: "SANDBOX_LOST",
    metadata: { model: "demo", cause: "tokenising it lost its process" },
    retryAfterMs: 1000,
  },
  InsufficientMemory: {
    error: new errors.InsufficientMemory({ neededBytes: 9000, availableBytes: 10 }),
    code: Code.ResourceExhausted,
    reason: "INSUFFICIENT_MEMORY",
    metadata: { neededBytes: "9000", availableBytes: "10" },
  },
  QueueTimeout: {
    error: new errors.QueueTimeout({ waitedMs: 20, waitedFor: "model", retryAfterMs: 250 }),
    code: Code.Unavailable,
    reason: "QUEUE_TIMEOUT",
    metadata: { waitedMs: "20", waitedFor: "model" },
    retryAfterMs: 250,
  },
  ShutDown: {
    error: new errors.ShutDown({ progress }),
    code: Code.Aborted,
    reason: "SHUT_DOWN",
    metadata: {},
  },
  Draining: {
    error: new errors.Draining({ retryAfterMs: 1000 }),
    code: Code.Unavailable,
    reason: "DRAINING",
    metadata: {},
    retryAfterMs: 1000,
  },
  EngineRestarting: {
    error: new errors.EngineRestarting({ model: "demo", retryAfterMs: 400 }),
    code: Code.Unavailable,
    reason: "ENGINE_RESTARTING",
    metadata: { model: "demo" },
    retryAfterMs: 400,
  },
  EngineLost: {
    error: new errors.EngineLost({ model: "demo", progress }),
    code: Code.Aborted,
    reason: "ENGINE_LOST",
    metadata: { model: "demo" },
  },
  ModelUnloaded: {
    error: new errors.ModelUnloaded({ model: "demo", progress }),
    code: Code.Aborted,
    reason: "MODEL_UNLOADED",
    metadata: { model: "demo" },
  },
  DeadlineExceeded: {
    error: new errors.DeadlineExceeded({ progress }),
    code: Code.DeadlineExceeded,
    reason: "DEADLINE",
    metadata: {},
  },
  ClientStalled: {
    error: new errors.ClientStalled({ stalledMs: 30_000, progress }),
    code: Code.ResourceExhausted,
    reason: "CLIENT_STALLED",
    metadata: { stalledMs: "30000" },
  },
  JobNotFound: {
    error: new errors.JobNotFound({ jobId: "j1" }),
    code: Code.NotFound,
    reason: "JOB_NOT_FOUND",
    metadata: { jobId: "j1" },
  },
  JobConflict: {
    error: new errors.JobConflict({ requestId: "r1", jobId: "j1", differs: ["items", "open"] }),
    code: Code.AlreadyExists,
    reason: "JOB_CONFLICT",
    metadata: { requestId: "r1", jobId: "j1", differs: "items, open" },
  },
  JobGap: {
    error: new errors.JobGap({ jobId: "j1", offset: 9, expectedOffset: 7 }),
    code: Code.OutOfRange,
    reason: "JOB_GAP",
    metadata: { jobId: "j1", offset: "9", expectedOffset: "7" },
  },
  JobSealed: {
    error: new errors.JobSealed({ jobId: "j1", total: 7 }),
    code: Code.FailedPrecondition,
    reason: "JOB_SEALED",
    metadata: { jobId: "j1", total: "7" },
  },
  JobOver: {
    error: new errors.JobOver({ jobId: "j1", state: "cancelled" }),
    code: Code.FailedPrecondition,
    reason: "JOB_OVER",
    metadata: { jobId: "j1", state: "cancelled" },
  },
  JobTooLarge: {
    error: new errors.JobTooLarge({ what: "items", count: 100_001, limit: 100_000 }),
    code: Code.InvalidArgument,
    reason: "JOB_TOO_LARGE",
    metadata: { what: "items", count: "100001", limit: "100000" },
  },
  JobExpired: {
    error: new errors.JobExpired({ jobId: "j1" }),
    code: Code.DeadlineExceeded,
    reason: "JOB_EXPIRED",
    metadata: { jobId: "j1" },
  },
  SequenceOutOfRange: {
    error: new errors.SequenceOutOfRange({ jobId: "j1", sequence: 9, last: 7 }),
    code: Code.OutOfRange,
    reason: "SEQUENCE_OUT_OF_RANGE",
    metadata: { jobId: "j1", sequence: "9", last: "7" },
  },
  JobStoreUnavailable: {
    error: new errors.JobStoreUnavailable({ cause: "its disk is full", retryAfterMs: 2000 }),
    code: Code.Unavailable,
    reason: "JOB_STORE_UNAVAILABLE",
    metadata: { cause: "its disk is full" },
    retryAfterMs: 2000,
  },
  JobStoreUnusable: {
    error: new errors.JobStoreUnusable({ cause: "process 7 holds it" }),
    code: Code.FailedPrecondition,
    reason: "JOB_STORE_UNUSABLE",
    metadata: { cause: "process 7 holds it" },
  },
  HostLost: {
    error: new errors.HostLost({ host: "mac1:77" }),
    code: Code.Unavailable,
    reason: "HOST_LOST",
    metadata: { host: "mac1:77" },
  },
};

export const errorCases: ReadonlyArray<ErrorCase> = Object.values(byTag);
