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
import type { InferOutput, StandardJsonSchema } from "./objects/standard-schema.ts";
import type { Plain } from "./plain.ts";
import type { PreloadStream } from "./preload.ts";
import type { PreparationReport, PreparationStream, PrepareOptions } from "./preparation.ts";
import type { GenerationResult } from "./results.ts";
import type { GenerationStream } from "./stream.ts";
import type { GenerationInput } from "./task.ts";
import type { ToolRun, ToolRunInput, ToolRunOptions } from "./tools/run.ts";
import type { RunnableTool } from "./tools/tool.ts";
import type { Chat, ChatOptions } from "./chat/chat.ts";

/** How vectors are made, and options of the call. */
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
   * Report each token's text too.
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
}

/** Options of {@link MlxdClient.loadModel}. */
export interface LoadModelOptions extends CallOptions {
  /**
   * Pin the model, or unpin it, once it is loaded.
   * @default as it is
   */
  readonly pinned?: boolean | undefined;
  /**
   * From now on unload this model after this time without a task, in milliseconds; 0: never.
   * @default as it is
   */
  readonly idleTtlMs?: number | undefined;
}

/** A model that was loaded, and how it went. */
export interface LoadedModel extends Model {
  /** As of a preparation: whether its answers are of use, too. Undefined of a service that is older than this client. */
  readonly report?: PreparationReport | undefined;
}

/** Options of {@link MlxdClient.unloadModel}. */
export interface UnloadModelOptions extends CallOptions {
  /**
   * How long running generations may take to finish, in milliseconds; those left then end with `MODEL_UNLOADED`.
   * @default 30000
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * End running generations at once, and a load that is under way.
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

/** A text's tokens, and each token's text if asked for. */
export type Tokens = Plain<TokenizedText>;

/** What a task needs of the context. */
export type TokenCount = Plain<CountTokensResponse>;

/** What a generation was when it was told to end. */
export type CancelledState = "cancelling" | "not_running" | "unknown";

/**
 * The API's own typed clients over the same connection, with the client's headers and nothing else: no retry and no
 * decoded errors, and leaving a loop over one of their streams does not end the call.
 */
export interface RawClients {
  readonly generation: Client<typeof GenerationService>;
  readonly embedding: Client<typeof EmbeddingService>;
  readonly tokenizer: Client<typeof TokenizerService>;
  readonly models: Client<typeof ModelService>;
  readonly server: Client<typeof ServerService>;
}

/** A client of one mlxd service. It may be shared and used for any number of calls at once. */
export interface MlxdClient extends Disposable {
  /** Generates and returns the whole result. */
  generate(input: GenerationInput, options?: GenerationOptions): Promise<GenerationResult>;

  /** Generates and returns the events as they come. The call is made when the first one is asked for. */
  stream(input: GenerationInput, options?: GenerationOptions): GenerationStream;

  /**
   * Generates an object that fits a schema: one of Zod, ArkType, Valibot, Effect or whatever else follows the Standard
   * Schema and can write itself as a JSON Schema. The service holds the model to what of it a constraint can say; the
   * rest is validated here, and fails with `INVALID_OUTPUT`.
   */
  generateObject<Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: ObjectOptions,
  ): Promise<ObjectResult<InferOutput<Schema>>>;
  /** The same of a JSON Schema (draft 2020-12); the type of what fits it is the caller's word. */
  generateObject<T = Json>(
    schema: JsonSchema,
    input: GenerationInput,
    options?: ObjectOptions,
  ): Promise<ObjectResult<T>>;

  /** Generates an object, and returns it as far as it has come each time that there is more of it. */
  streamObject<Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: ObjectOptions,
  ): ObjectStream<InferOutput<Schema>>;
  /** The same of a JSON Schema (draft 2020-12); the type of what fits it is the caller's word. */
  streamObject<T = Json>(schema: JsonSchema, input: GenerationInput, options?: ObjectOptions): ObjectStream<T>;

  /**
   * Has the model answer with the help of tools: runs those that it calls, tells it what came of them, and goes on until it
   * answers without calling any. The run begins when its first event is asked for.
   */
  runTools(tools: readonly RunnableTool[], input: ToolRunInput, options?: ToolRunOptions): ToolRun;

  /** Begins a conversation, which keeps its turns here. */
  chat(options?: ChatOptions): Chat;

  /** Runs 1 to 100 tasks in one call and returns each one's result as it finishes. */
  batch(items: readonly BatchItem[], options?: BatchOptions & CallOptions): BatchStream;

  /** Ends a running or waiting generation with what it has: its result then says `cancelled`. May be repeated. */
  cancel(generationId: string, options?: CallOptions): Promise<CancelledState>;

  /** Makes a vector of each text; one text is as good as a list of one. */
  embed(input: EmbeddingInput | readonly EmbeddingInput[], options?: EmbeddingOptions): Promise<EmbeddingResult>;

  /** The tokens of a text. */
  tokenize(text: string, options?: TokenizeOptions): Promise<Tokens>;
  /** The tokens of several texts, in their order. */
  tokenize(texts: readonly string[], options?: TokenizeOptions): Promise<readonly Tokens[]>;

  /** The text of tokens; bytes that are no valid UTF-8 read as U+FFFD. */
  detokenize(tokenIds: readonly number[] | Uint32Array, options?: DetokenizeOptions): Promise<string>;

  /** The tokens that a task's prompt takes, chat template included, and whether it fits. */
  countTokens(input: GenerationInput, options?: GenerationOptions): Promise<TokenCount>;

  /** All models that the service knows, in the catalog's order. */
  listModels(options?: ListModelsOptions): Promise<readonly Model[]>;

  /** The models that are in memory, the one that was used last first. */
  listLoadedModels(options?: CallOptions): Promise<readonly Model[]>;

  /** What each model is run with and how it did when it was tried, in the catalog's order. */
  listCompatibilityProfiles(options?: CallOptions): Promise<readonly CompatibilityProfile[]>;

  /** One model, by any of its names; without a name the default model. */
  getModel(model?: string, options?: CallOptions): Promise<Model>;

  /**
   * Makes a model ready to answer - downloads it where the service does not have it, loads it, tries it - and returns
   * the way there, with a report at its end. The client's `timeoutMs` holds for all of it.
   */
  prepareModel(model?: string, options?: PrepareOptions & CallOptions): PreparationStream;

  /**
   * Loads a model, by any of its names, tries it and waits until it answers; without a name the default model. A task
   * loads its model by itself: this is for doing so ahead of it. That its answers are of no use is in the report.
   */
  loadModel(model?: string, options?: LoadModelOptions): Promise<LoadedModel>;

  /**
   * Loads several models, one after another, and returns the report of each as it comes. One that fails does not keep
   * the others from loading. The client's `timeoutMs` holds for all of them together.
   */
  preloadModels(models: readonly string[], options?: CallOptions): PreloadStream;

  /** Tells whether a model could be loaded now, and what it would take; changes nothing. */
  checkModelFit(model?: string, options?: CallOptions): Promise<MemoryFit>;

  /** Unloads a model and waits until its memory is free; new tasks load it again. */
  unloadModel(model: string, options?: UnloadModelOptions): Promise<UnloadedModel>;

  /** Unloads every model that is loaded, pinned ones apart. */
  unloadAllModels(options?: UnloadAllModelsOptions): Promise<UnloadedModels>;

  /** Keeps a model from being evicted, or with `false` no longer does. */
  pinModel(model: string, pinned?: boolean, options?: CallOptions): Promise<Model>;

  /** Has the service read its configuration file and its model folder anew; with an error in the file nothing changes. */
  reloadCatalog(options?: CallOptions): Promise<CatalogChange>;

  /** What the server is: version, device and limits. */
  serverInfo(options?: CallOptions): Promise<ServerInfo>;

  /** How the server is doing. */
  stats(options?: CallOptions): Promise<ServerStats>;

  /** The API's own typed clients. */
  readonly raw: RawClients;

  /** Ends the calls under way and closes the connection. A later call opens a new one. */
  close(): void;
}
