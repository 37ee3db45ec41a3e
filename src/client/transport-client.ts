import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type CallOptions as ConnectCallOptions, createClient, type Transport } from "@connectrpc/connect";
import { type BatchItem, type BatchOptions, BatchStream, createBatchItems } from "./batch.ts";
import {
  type Attempt,
  Call,
  type CallContext,
  type CallOptions,
  callUnary,
  checkCallOptions,
  systemClock,
} from "./call.ts";
import { checkFlag, checkList, checkMs, checkObject, checkText, checkTexts, checkTokenIds, show } from "./check.ts";
import type {
  CancelledState,
  DetokenizeOptions,
  EmbeddingOptions,
  GenerationOptions,
  ListModelsOptions,
  LoadedModel,
  LoadModelOptions,
  MlxdClient,
  RawClients,
  TokenCount,
  TokenizeOptions,
  Tokens,
  UnloadAllModelsOptions,
  UnloadModelOptions,
} from "./client.ts";
import type { ClientOptions } from "./create-client.ts";
import {
  type CatalogChange,
  catalogChangeFromWire,
  compatibilityFromWire,
  type CompatibilityProfile,
  type MemoryFit,
  memoryFitFromWire,
  type Model,
  modelFromWire,
  type ServerInfo,
  serverInfoFromWire,
  type ServerStats,
  serverStatsFromWire,
  type UnloadedModel,
  unloadedModelFromWire,
  type UnloadedModels,
  unloadedModelsFromWire,
} from "./descriptions.ts";
import { type EmbeddingInput, type EmbeddingResult, embeddingsFromWire, embedRequest } from "./embeddings.ts";
import { checkEnum, enumName } from "./enum-names.ts";
import { assertNoOthers, invalidField, protocolError } from "./errors.ts";
import type { StreamSource } from "./event-stream.ts";
import { EmbeddingService } from "./gen/mlxd/v1/embedding_service_pb.ts";
import {
  CancelGenerationResponse_StateSchema,
  type GenerateResponse,
  GenerationService,
} from "./gen/mlxd/v1/generation_service_pb.ts";
import { ModelService, ModelState } from "./gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "./gen/mlxd/v1/server_service_pb.ts";
import {
  CountTokensResponseSchema,
  TokenizedTextSchema,
  TokenizerService,
} from "./gen/mlxd/v1/tokenizer_service_pb.ts";
import { withHeaders } from "./headers.ts";
import { type NameOf, optionName, taskOptionNames } from "./option-names.ts";
import { toPlain } from "./plain.ts";
import { PreloadStream } from "./preload.ts";
import { PreparationStream, type PrepareOptions, reportFromWire } from "./preparation.ts";
import { type GenerationResult, resultFromWire } from "./results.ts";
import { createRetryPolicy, RetryBudget } from "./retry.ts";
import { GenerationStream } from "./stream.ts";
import { createTask, type GenerationInput } from "./task.ts";
import { normalizeTimeoutMs } from "./timeouts.ts";

/** Models on a page of a listing: as many as the service gives. */
const maxPageSize = 1_000;

/** A client over a Connect transport. */
export class TransportClient implements MlxdClient {
  readonly raw: RawClients;
  readonly #context: CallContext;
  readonly #timeoutMs: number | undefined;
  readonly #model: string;
  readonly #closeTransport: () => void;

  constructor(transport: Transport, options: ClientOptions, closeTransport: () => void) {
    const { headers, defaultModel = "", timeoutMs, retry, clock = systemClock, ...others } = checkOptions(options);
    assertNoOthers(others);
    checkFunctions(transport, "transport", ["unary", "stream"]);
    checkFunctions(clock, "clock", ["now", "sleep", "random"]);
    const over = withHeaders(transport, headers);
    this.raw = {
      generation: createClient(GenerationService, over),
      embedding: createClient(EmbeddingService, over),
      tokenizer: createClient(TokenizerService, over),
      models: createClient(ModelService, over),
      server: createClient(ServerService, over),
    };
    this.#context = { clock, policy: createRetryPolicy(retry), budget: new RetryBudget(), running: new Set() };
    this.#timeoutMs = normalizeTimeoutMs(timeoutMs);
    this.#model = checkText(defaultModel, "defaultModel");
    this.#closeTransport = closeTransport;
  }

  async generate(input: GenerationInput, options: GenerationOptions = {}): Promise<GenerationResult> {
    const { task, call, nameOf } = this.#task(input, options);
    const attempt: Attempt<GenerateResponse> = (connect) => this.raw.generation.generate({ task }, connect);
    const { result } = await this.#unary(call, attempt, nameOf);
    return resultFromWire(result);
  }

  stream(input: GenerationInput, options: GenerationOptions = {}): GenerationStream {
    const { task, call, nameOf } = this.#task(input, options);
    const open = (connect: ConnectCallOptions) => this.raw.generation.streamGenerate({ task }, connect);
    return new GenerationStream(this.#source(call, open, nameOf), task.sampling?.candidateCount ?? 1);
  }

  batch(items: readonly BatchItem[], options: BatchOptions & CallOptions = {}): BatchStream {
    const { parallel = false, groupByModel = false, ...call } = checkOptions(options);
    const given = checkList(items, "items") as readonly BatchItem[]; // each is checked where it is read
    const request = {
      items: createBatchItems(given, this.#model),
      parallel: checkFlag(parallel, "parallel"),
      groupByModel: checkFlag(groupByModel, "groupByModel"),
    };
    const open = (connect: ConnectCallOptions) => this.raw.generation.batchGenerate(request, connect);
    const names = given.map((item, index) => taskOptionNames(item.input, item, `items[${index}]`));
    const nameOf: NameOf = (path) => (names[Number(/^items\[(\d+)\]/.exec(path)?.[1])] ?? optionName)(path);
    return new BatchStream(this.#source(call, open, nameOf), names);
  }

  async cancel(generationId: string, options: CallOptions = {}): Promise<CancelledState> {
    const request = { generationId: checkText(generationId, "generationId") };
    const { state } = await this.#unary(options, (connect) => this.raw.generation.cancelGeneration(request, connect));
    return enumName(CancelGenerationResponse_StateSchema, state) as CancelledState; // the same names
  }

  async embed(
    input: EmbeddingInput | readonly EmbeddingInput[],
    options: EmbeddingOptions = {},
  ): Promise<EmbeddingResult> {
    const { signal, timeoutMs, headers, ...parameters } = checkOptions(options);
    const request = embedRequest(input, parameters, this.#model);
    const call = { signal, timeoutMs, headers };
    const response = await this.#unary(call, (connect) => this.raw.embedding.embed(request, connect));
    return embeddingsFromWire(response, Array.isArray(input) ? input.length : 1);
  }

  tokenize(text: string, options?: TokenizeOptions): Promise<Tokens>;
  tokenize(texts: readonly string[], options?: TokenizeOptions): Promise<readonly Tokens[]>;
  async tokenize(
    input: string | readonly string[],
    options: TokenizeOptions = {},
  ): Promise<Tokens | readonly Tokens[]> {
    const { model = this.#model, addSpecialTokens = false, pieces = false, ...call } = checkOptions(options);
    const texts = typeof input === "string" ? [checkText(input, "text")] : checkTexts(input, "texts");
    const request = {
      model: checkText(model, "model"),
      texts,
      addSpecialTokens: checkFlag(addSpecialTokens, "addSpecialTokens"),
      pieces: checkFlag(pieces, "pieces"),
    };
    const response = await this.#unary(call, (connect) => this.raw.tokenizer.tokenize(request, connect));
    const tokens = response.texts.map((text) => toPlain(TokenizedTextSchema, text));
    const [first] = tokens;
    if (first === undefined || tokens.length !== texts.length) {
      throw protocolError(`${texts.length} texts were tokenised to ${tokens.length}`);
    }
    return typeof input === "string" ? first : tokens;
  }

  async detokenize(tokenIds: readonly number[] | Uint32Array, options: DetokenizeOptions = {}): Promise<string> {
    const { model = this.#model, skipSpecialTokens = false, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      ids: checkTokenIds(tokenIds, "tokenIds"),
      skipSpecialTokens: checkFlag(skipSpecialTokens, "skipSpecialTokens"),
    };
    const { text } = await this.#unary(call, (connect) => this.raw.tokenizer.detokenize(request, connect));
    return text;
  }

  async countTokens(input: GenerationInput, options: GenerationOptions = {}): Promise<TokenCount> {
    const { task, call, nameOf } = this.#task(input, options);
    const response = await this.#unary(call, (connect) => this.raw.tokenizer.countTokens({ task }, connect), nameOf);
    return toPlain(CountTokensResponseSchema, response);
  }

  async listModels(options: ListModelsOptions = {}): Promise<readonly Model[]> {
    const { states = [], ...call } = checkOptions(options);
    const request = {
      states: checkList(states, "states").map((state, at) => checkEnum(ModelState, state, `states[${at}]`, "state")),
      pageSize: maxPageSize,
    };
    return allPages(async (pageToken) => {
      const page = { ...request, pageToken };
      const response = await this.#unary(call, (connect) => this.raw.models.listModels(page, connect));
      return { items: response.models.map(modelFromWire), next: response.nextPageToken };
    });
  }

  async listLoadedModels(options: CallOptions = {}): Promise<readonly Model[]> {
    const { models } = await this.#unary(options, (connect) => this.raw.models.listLoadedModels({}, connect));
    return models.map(modelFromWire);
  }

  async listCompatibilityProfiles(options: CallOptions = {}): Promise<readonly CompatibilityProfile[]> {
    return allPages(async (pageToken) => {
      const page = { pageToken, pageSize: maxPageSize };
      const response = await this.#unary(options, (connect) =>
        this.raw.models.listCompatibilityProfiles(page, connect),
      );
      return { items: response.profiles.map(compatibilityFromWire), next: response.nextPageToken };
    });
  }

  async getModel(model = this.#model, options: CallOptions = {}): Promise<Model> {
    const request = { model: checkText(model, "model") };
    const response = await this.#unary(options, (connect) => this.raw.models.getModel(request, connect));
    return modelFromWire(response.model);
  }

  prepareModel(model = this.#model, options: PrepareOptions & CallOptions = {}): PreparationStream {
    const { revision = "", retest = false, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      revision: checkText(revision, "revision"),
      retest: checkFlag(retest, "retest"),
    };
    const open = (connect: ConnectCallOptions) => this.raw.models.prepareModel(request, connect);
    return new PreparationStream(this.#source(call, open));
  }

  async loadModel(model = this.#model, options: LoadModelOptions = {}): Promise<LoadedModel> {
    const { pinned, idleTtlMs, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      ...(pinned !== undefined && { pinned: checkFlag(pinned, "pinned") }),
      ...(idleTtlMs !== undefined && { idleTtl: durationFromMs(checkMs(idleTtlMs, "idleTtlMs")) }),
    };
    const response = await this.#unary(call, (connect) => this.raw.models.loadModel(request, connect));
    const loaded = modelFromWire(response.model);
    return response.report ? { ...loaded, report: reportFromWire(response.report) } : loaded;
  }

  preloadModels(models: readonly string[], options: CallOptions = {}): PreloadStream {
    const request = { models: checkTexts(models, "models") };
    const open = (connect: ConnectCallOptions) => this.raw.models.preloadModels(request, connect);
    return new PreloadStream(this.#source(checkOptions(options), open), request.models.length);
  }

  async checkModelFit(model = this.#model, options: CallOptions = {}): Promise<MemoryFit> {
    const request = { model: checkText(model, "model"), validateOnly: true };
    return memoryFitFromWire(await this.#unary(options, (connect) => this.raw.models.loadModel(request, connect)));
  }

  async unloadModel(model: string, options: UnloadModelOptions = {}): Promise<UnloadedModel> {
    const { drainTimeoutMs, force = false, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      force: checkFlag(force, "force"),
      ...drainTimeout(drainTimeoutMs),
    };
    return unloadedModelFromWire(await this.#unary(call, (connect) => this.raw.models.unloadModel(request, connect)));
  }

  async unloadAllModels(options: UnloadAllModelsOptions = {}): Promise<UnloadedModels> {
    const { drainTimeoutMs, force = false, includePinned = false, ...call } = checkOptions(options);
    const request = {
      force: checkFlag(force, "force"),
      includePinned: checkFlag(includePinned, "includePinned"),
      ...drainTimeout(drainTimeoutMs),
    };
    return unloadedModelsFromWire(
      await this.#unary(call, (connect) => this.raw.models.unloadAllModels(request, connect)),
    );
  }

  async pinModel(model: string, pinned = true, options: CallOptions = {}): Promise<Model> {
    const request = { model: checkText(model, "model"), pinned: checkFlag(pinned, "pinned") };
    const response = await this.#unary(options, (connect) => this.raw.models.pinModel(request, connect));
    return modelFromWire(response.model);
  }

  async reloadCatalog(options: CallOptions = {}): Promise<CatalogChange> {
    return catalogChangeFromWire(await this.#unary(options, (connect) => this.raw.models.reloadCatalog({}, connect)));
  }

  async serverInfo(options: CallOptions = {}): Promise<ServerInfo> {
    return serverInfoFromWire(await this.#unary(options, (connect) => this.raw.server.getServerInfo({}, connect)));
  }

  async stats(options: CallOptions = {}): Promise<ServerStats> {
    return serverStatsFromWire(await this.#unary(options, (connect) => this.raw.server.getStats({}, connect)));
  }

  close(): void {
    for (const call of this.#context.running) call.cancel(new Error("the client was closed"));
    this.#closeTransport();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The task of these arguments, and how its fields are called in them. */
  #task(input: GenerationInput, options: GenerationOptions) {
    const { signal, timeoutMs, headers, ...parameters } = checkOptions(options);
    return {
      task: createTask(input, parameters, this.#model),
      call: { signal, timeoutMs, headers },
      nameOf: taskOptionNames(input, parameters),
    };
  }

  #unary<T>(options: CallOptions, attempt: Attempt<T>, nameOf?: NameOf): Promise<T> {
    return callUnary(this.#context, checkCallOptions(checkOptions(options), this.#timeoutMs, nameOf), attempt);
  }

  #source<T>(options: CallOptions, open: StreamSource<T>["open"], nameOf?: NameOf): StreamSource<T> {
    const checked = checkCallOptions(options, this.#timeoutMs, nameOf);
    return { begin: () => new Call(this.#context, checked), open };
  }
}

const allPages = async <T>(
  pageAt: (pageToken: string) => Promise<{ readonly items: readonly T[]; readonly next: string }>,
): Promise<readonly T[]> => {
  const all: T[] = [];
  let pageToken = "";
  do {
    const { items, next } = await pageAt(pageToken);
    all.push(...items);
    if (pageToken !== "" && pageToken === next) throw protocolError("a page of models leads to itself");
    pageToken = next;
  } while (pageToken !== "");
  return all;
};

const checkOptions = <Options extends object>(options: Options): Options => {
  checkObject(options, "options");
  return options;
};

/** Something that others make: it has to do at least this. */
const checkFunctions = (value: unknown, name: string, functions: readonly string[]): void => {
  const object = checkObject(value, name);
  const missing = functions.find((key) => typeof object[key] !== "function");
  if (missing !== undefined) throw invalidField(`${name}.${missing}`, `${show(object[missing])} is no function`);
};

const drainTimeout = (ms: unknown) =>
  ms === undefined ? {} : { drainTimeout: durationFromMs(checkMs(ms, "drainTimeoutMs")) };
