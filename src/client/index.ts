/** The part of the client that all runtimes share. It works with any Connect transport. */
export type {
  BatchEvent,
  BatchItem,
  BatchItemEvent,
  BatchOptions,
  BatchResult,
  BatchStream,
  BatchSummary,
  BatchSummaryEvent,
} from "./batch.ts";
export type { CallOptions } from "./call.ts";
export type {
  CancelledState,
  DetokenizeOptions,
  EmbeddingOptions,
  ListModelsOptions,
  LoadedModel,
  LoadModelOptions,
  MlxdClient,
  ModelCallOptions,
  RawClients,
  TokenCount,
  TokenizeOptions,
  Tokens,
  UnloadAllModelsOptions,
  UnloadModelOptions,
} from "./client.ts";
export type { ClientOptions } from "./client-options.ts";
export type { Clock } from "./clock.ts";
export { createMlxdClientFromTransport } from "./create-client.ts";
export type { Credentials, Token } from "./credentials.ts";
export type { Chat, ChatOptions, ChatParameters, ChatTurn, SavedChat, TrimOptions, TurnOptions } from "./chat/chat.ts";
export { decodeError } from "./decode-error.ts";
export type { DerivedStream } from "./derived-stream.ts";
export type {
  CatalogChange,
  CompatibilityProfile,
  MemoryFit,
  Model,
  ModelStats,
  ServerInfo,
  ServerStats,
  SmokeTest,
  UnloadedModel,
  UnloadedModels,
} from "./descriptions.ts";
export type { Embedding, EmbeddingInput, EmbeddingParameters, EmbeddingResult } from "./embeddings.ts";
export type {
  CacheMode,
  CompatibilityStatus,
  ContextPolicy,
  Device,
  FinishReason,
  ModelState,
  OutputWarningKind,
  Pooling,
  PrepareStage,
  Quality,
  ReasoningEffort,
  Role,
} from "./enum-names.ts";
export {
  type FieldViolation,
  findMlxdError,
  type GenerationProgress,
  isMlxdError,
  MlxdError,
  type MlxdErrorCode,
  type MlxdErrorReason,
} from "./errors.ts";
export type {
  GenerationChunk,
  GenerationEvent,
  GenerationFinished,
  GenerationStarted,
  ToolCallDelta,
} from "./events.ts";
export type { GenerationOptions } from "./generation-options.ts";
export type { HeaderSource, HeaderValues } from "./headers.ts";
export type {
  ChatInput,
  ChatMessage,
  ContentPart,
  ImagePart,
  Json,
  JsonSchema,
  TextPart,
  Tool,
  ToolChoice,
} from "./messages.ts";
export { assistantMessage, toolMessage } from "./messages.ts";
export type { CacheOptions, Constraint, GenerationParameters, ReasoningOptions } from "./parameters.ts";
export type { ObjectOptions, ObjectResult, ObjectStream, PartialOf } from "./objects/object.ts";
export type { InferInput, InferOutput, StandardJsonSchema } from "./objects/standard-schema.ts";
export {
  type IncomingCall,
  type IncomingConnectCall,
  type IncomingGrpcCall,
  type IncomingRequest,
  optionsOfIncoming,
} from "./incoming.ts";
export type { PreloadedModel, PreloadStream } from "./preload.ts";
export type {
  DownloadResult,
  InstallResult,
  LogEvent,
  ModelResolution,
  PreparationEvent,
  PreparationReport,
  PreparationStream,
  PrepareOptions,
  ProgressEvent,
  ReportEvent,
  StageEvent,
  StageLog,
  StageTiming,
} from "./preparation.ts";
export type {
  Candidate,
  ContextReport,
  EffectiveParameters,
  GenerationResult,
  OutputWarning,
  PassedOver,
  StopMatch,
  Timings,
  TokenLogprob,
  ToolCall,
} from "./results.ts";
export { defaultRetryPolicy, type RetryPolicy } from "./retry.ts";
export type { GenerationStream } from "./stream.ts";
export type { GenerationInput } from "./task.ts";
export type {
  ToolCallEvent,
  ToolResultEvent,
  ToolRun,
  ToolRunEvent,
  ToolRunInput,
  ToolRunOptions,
  ToolRunResult,
} from "./tools/run.ts";
export { defineTool, type RunnableTool, type ToolContext, type ToolOutput, type ToolRunLimits } from "./tools/tool.ts";
export type { Usage } from "./usage.ts";
