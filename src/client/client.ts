import type { Client } from "@connectrpc/connect";
import type { BatchItem, BatchOptions, BatchStream } from "./batch.ts";
import type { CallOptions } from "./call.ts";
import type {
  CatalogChange,
  CompatibilityProfile,
  MemoryFit,
  Model,
  ServerInfo,
  ServerStats,
  UnloadedModel,
  UnloadedModels,
} from "./descriptions.ts";
import type { EmbeddingInput, EmbeddingParameters, EmbeddingResult } from "./embeddings.ts";
import type { ModelState } from "./enum-names.ts";
import type { GenerationOptions } from "./generation-options.ts";
import type { EmbeddingService } from "./gen/mlxd/v1/embedding_service_pb.ts";
import type { GenerationService } from "./gen/mlxd/v1/generation_service_pb.ts";
import type { ModelService } from "./gen/mlxd/v1/model_service_pb.ts";
import type { ServerService } from "./gen/mlxd/v1/server_service_pb.ts";
import type { CountTokensResponse, TokenizedText, TokenizerService } from "./gen/mlxd/v1/tokenizer_service_pb.ts";
import type { Json, JsonSchema } from "./messages.ts";
import type { ObjectOptions, ObjectResult, ObjectStream } from "./objects/object.ts";
import type { InferInput, InferOutput, StandardJsonSchema } from "./objects/standard-schema.ts";
import type { Plain } from "./plain.ts";
import type { PreloadStream } from "./preload.ts";
import type { PreparationReport, PreparationStream, PrepareOptions } from "./preparation.ts";
import type { GenerationResult } from "./results.ts";
import type { GenerationStream } from "./stream.ts";
import type { GenerationInput } from "./task.ts";
import type { ToolRun, ToolRunInput, ToolRunOptions } from "./tools/run.ts";
import type { RunnableTool } from "./tools/tool.ts";
import type { Chat, ChatOptions } from "./chat/chat.ts";

/** How embeddings are computed, and options of the call. */
export interface EmbeddingOptions extends EmbeddingParameters, CallOptions {}

/** Options of a call about one model. */
export interface ModelCallOptions extends CallOptions {
  /**
   * Id, alias or repository path of the model.
   * @default the client's `defaultModel`, or else the service's default model
   */
  readonly model?: string | undefined;
}

/** Options of {@link MlxdClient.tokenize}. */
export interface TokenizeOptions extends ModelCallOptions {
  /**
   * Add the tokens that the model's tokenizer puts around a text.
   * @default false
   */
  readonly addSpecialTokens?: boolean | undefined;
  /**
   * Also return the text of each token.
   * @default false
   */
  readonly pieces?: boolean | undefined;
}

/** Options of {@link MlxdClient.detokenize}. */
export interface DetokenizeOptions extends ModelCallOptions {
  /**
   * Leave special tokens out of the text.
   * @default false
   */
  readonly skipSpecialTokens?: boolean | undefined;
}

/** Options of {@link MlxdClient.listModels}. */
export interface ListModelsOptions extends CallOptions {
  /**
   * Only models in one of these states.
   * @default all
   */
  readonly states?: readonly Exclude<ModelState, "unknown">[] | undefined;
  /**
   * Only models of these engines and hosted providers, by any of their names.
   * @default all
   */
  readonly engines?: readonly string[] | undefined;
}

/** Options of {@link MlxdClient.loadModel}. */
export interface LoadModelOptions extends CallOptions {
  /**
   * Whether the model is pinned once it is loaded.
   * @default unchanged
   */
  readonly pinned?: boolean | undefined;
  /**
   * From now on, unload this model after this time without a task, in milliseconds; 0 means never.
   * @default unchanged
   */
  readonly idleTtlMs?: number | undefined;
}

/** A model that was loaded. */
export interface LoadedModel extends Model {
  /** The report of its preparation, including its smoke test. Undefined if the service is older than this client. */
  readonly report?: PreparationReport | undefined;
}

/** Options of {@link MlxdClient.unloadModel}. */
export interface UnloadModelOptions extends CallOptions {
  /**
   * How long running generations may take to finish, in milliseconds; the rest then end with `MODEL_UNLOADED`.
   * @default 30000
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * End running generations, and a load in progress, immediately.
   * @default false
   */
  readonly force?: boolean | undefined;
}

/** Options of {@link MlxdClient.unloadAllModels}. */
export interface UnloadAllModelsOptions extends UnloadModelOptions {
  /**
   * Unload pinned models too.
   * @default false
   */
  readonly includePinned?: boolean | undefined;
}

/** The tokens of a text; with the text of each one, if requested. */
export type Tokens = Plain<TokenizedText>;

/** How many tokens the prompt of a task has, and whether it fits into the context. */
export type TokenCount = Plain<CountTokensResponse>;

/** The state of a generation when it was cancelled. */
export type CancelledState = "cancelling" | "not_running" | "unknown";

/**
 * Connect's typed clients of the API, over the same connection and with the client's headers. They do not retry, do not
 * convert errors, and leaving a loop over one of their streams does not end the call.
 */
export interface RawClients {
  readonly generation: Client<typeof GenerationService>;
  readonly embedding: Client<typeof EmbeddingService>;
  readonly tokenizer: Client<typeof TokenizerService>;
  readonly models: Client<typeof ModelService>;
  readonly server: Client<typeof ServerService>;
}

/** A client of one mlxd service. It can be shared, and can make any number of calls at once. */
export interface MlxdClient extends Disposable {
  /** Generates and returns the whole result. */
  generate(input: GenerationInput, options?: GenerationOptions): Promise<GenerationResult>;

  /** Generates and returns the events as they arrive. The call is made when the first one is requested. */
  stream(input: GenerationInput, options?: GenerationOptions): GenerationStream;

  /**
   * Generates an object that matches a schema of Zod, ArkType, Valibot, Effect or another library that implements the Standard
   * Schema and can produce a JSON Schema. The service enforces the part that a constraint can express. The client validates
   * the rest, and fails with `INVALID_OUTPUT` if it does not match.
   */
  generateObject<Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: ObjectOptions,
  ): Promise<ObjectResult<InferOutput<Schema>>>;
  /** The same for a JSON Schema (draft 2020-12), whose type the caller declares. */
  generateObject<T = Json>(
    schema: JsonSchema,
    input: GenerationInput,
    options?: ObjectOptions,
  ): Promise<ObjectResult<T>>;

  /** Generates an object, and yields what has arrived of it each time that there is more. */
  streamObject<Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: ObjectOptions,
  ): ObjectStream<InferOutput<Schema>, InferInput<Schema>>;
  /** The same for a JSON Schema (draft 2020-12), whose type the caller declares. */
  streamObject<T = Json>(schema: JsonSchema, input: GenerationInput, options?: ObjectOptions): ObjectStream<T>;

  /**
   * Generates with tools: runs the tools that the model calls, returns their results to it, and repeats that until it answers
   * without calling any. The run begins when its first event is requested.
   */
  runTools(tools: readonly RunnableTool[], input: ToolRunInput, options?: ToolRunOptions): ToolRun;

  /** Begins a conversation, whose turns are kept in the client. */
  chat(options?: ChatOptions): Chat;

  /** Runs 1 to 100 tasks in one call and returns each one's result as it finishes. */
  batch(items: readonly BatchItem[], options?: BatchOptions & CallOptions): BatchStream;

  /** Ends a running or waiting generation with the output so far; its finish reason is then `cancelled`. Can be repeated. */
  cancel(generationId: string, options?: CallOptions): Promise<CancelledState>;

  /** Computes the embedding of each text. A single text counts as a list of one. */
  embed(input: EmbeddingInput | readonly EmbeddingInput[], options?: EmbeddingOptions): Promise<EmbeddingResult>;

  /** The tokens of a text. */
  tokenize(text: string, options?: TokenizeOptions): Promise<Tokens>;
  /** The tokens of several texts, in the same order. */
  tokenize(texts: readonly string[], options?: TokenizeOptions): Promise<readonly Tokens[]>;

  /** The text of tokens; invalid UTF-8 becomes U+FFFD. */
  detokenize(tokenIds: readonly number[] | Uint32Array, options?: DetokenizeOptions): Promise<string>;

  /** The number of tokens in a task's prompt, chat template included, and whether it fits into the context. */
  countTokens(input: GenerationInput, options?: GenerationOptions): Promise<TokenCount>;

  /** All models that the service knows, in the catalog's order. */
  listModels(options?: ListModelsOptions): Promise<readonly Model[]>;

  /** The models in memory, most recently used first. */
  listLoadedModels(options?: CallOptions): Promise<readonly Model[]>;

  /** The default parameters of each model and the result of its smoke test, in the catalog's order. */
  listCompatibilityProfiles(options?: CallOptions): Promise<readonly CompatibilityProfile[]>;

  /** One model, by any of its names; without a name the default model. */
  getModel(model?: string, options?: CallOptions): Promise<Model>;

  /**
   * Prepares a model: downloads it if the service does not have it, loads it and tests it. Returns a stream of progress that
   * ends with a report. The client's `timeoutMs` applies to the whole preparation.
   */
  prepareModel(model?: string, options?: PrepareOptions & CallOptions): PreparationStream;

  /**
   * Loads a model, by any of its names, and tests it; without a name the default model. A task loads its model by itself:
   * this loads it in advance. If the answers of the model are unusable, the report says so.
   */
  loadModel(model?: string, options?: LoadModelOptions): Promise<LoadedModel>;

  /**
   * Loads several models, one after another, and yields the report of each. A model that fails does not prevent the others
   * from loading. The client's `timeoutMs` applies to all of them together.
   */
  preloadModels(models: readonly string[], options?: CallOptions): PreloadStream;

  /** Whether a model could be loaded now, and how much memory it would need. Changes nothing. */
  checkModelFit(model?: string, options?: CallOptions): Promise<MemoryFit>;

  /** Unloads a model and waits until its memory is free; new tasks load it again. */
  unloadModel(model: string, options?: UnloadModelOptions): Promise<UnloadedModel>;

  /** Unloads all models except pinned ones. */
  unloadAllModels(options?: UnloadAllModelsOptions): Promise<UnloadedModels>;

  /** Pins a model, which prevents its eviction; with `false`, unpins it. */
  pinModel(model: string, pinned?: boolean, options?: CallOptions): Promise<Model>;

  /** Makes the service read its configuration file and its model folder again. If the file has an error, nothing changes. */
  reloadCatalog(options?: CallOptions): Promise<CatalogChange>;

  /** The version, device and limits of the server. */
  serverInfo(options?: CallOptions): Promise<ServerInfo>;

  /** Counters since the start of the server, and its current load. */
  stats(options?: CallOptions): Promise<ServerStats>;

  /** Connect's typed clients of the API. */
  readonly raw: RawClients;

  /** Cancels the running calls and closes the connection. A later call opens a new one. */
  close(): void;
}
