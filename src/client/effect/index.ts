/** The client for Effect: a service, its layers, and tagged errors. */
import { Context, Data, Effect, Layer, Stream } from "effect";
import type { BatchEvent, BatchItem, BatchOptions } from "../batch.ts";
import type { CallOptions } from "../call.ts";
import type { EmbeddingOptions, ListModelsOptions, MlxdClient, TokenCount } from "../client.ts";
import { decodeError } from "../decode-error.ts";
import type { Model } from "../descriptions.ts";
import type { EmbeddingInput, EmbeddingResult } from "../embeddings.ts";
import type { MlxdError, MlxdErrorCode, MlxdErrorReason } from "../errors.ts";
import type { GenerationEvent } from "../events.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { ObjectOptions, ObjectResult, PartialOf } from "../objects/object.ts";
import type { InferInput, InferOutput, StandardJsonSchema } from "../objects/standard-schema.ts";
import type { GenerationResult } from "../results.ts";
import type { GenerationInput } from "../task.ts";
import type { ToolRunEvent, ToolRunInput, ToolRunOptions } from "../tools/run.ts";
import type { RunnableTool } from "../tools/tool.ts";
import { createMlxdClient, type WebClientOptions } from "../web.ts";

/** A call that failed. `reason` is for decisions in code; `cause` is the MlxdError with all details. */
export class MlxdFailure extends Data.TaggedError("MlxdFailure")<{
  readonly reason: MlxdErrorReason;
  readonly code: MlxdErrorCode;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  readonly cause: MlxdError;
}> {}

/** Options of a call, without a signal: interruption takes its place. */
type Without<Options> = Omit<Options, "signal">;

/** The methods of the service {@link Mlxd}. */
export interface MlxdService {
  /** Generates and returns the whole result. */
  readonly generate: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Effect.Effect<GenerationResult, MlxdFailure>;
  /** Generates and streams the events. */
  readonly stream: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Stream.Stream<GenerationEvent, MlxdFailure>;
  /** Generates and streams the text of the first candidate. */
  readonly streamText: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Stream.Stream<string, MlxdFailure>;
  /** Generates an object that matches a schema. */
  readonly generateObject: <Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: Without<ObjectOptions>,
  ) => Effect.Effect<ObjectResult<InferOutput<Schema>>, MlxdFailure>;
  /** Generates an object, and streams the part that has arrived. */
  readonly streamObject: <Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: Without<ObjectOptions>,
  ) => Stream.Stream<PartialOf<InferInput<Schema>>, MlxdFailure>;
  /** Runs tools until the model answers without calling any. */
  readonly runTools: (
    tools: readonly RunnableTool[],
    input: ToolRunInput,
    options?: Without<ToolRunOptions>,
  ) => Stream.Stream<ToolRunEvent, MlxdFailure>;
  /** Runs 1 to 100 tasks in one call. */
  readonly batch: (
    items: readonly BatchItem[],
    options?: Without<BatchOptions & CallOptions>,
  ) => Stream.Stream<BatchEvent, MlxdFailure>;
  /** Computes embeddings. */
  readonly embed: (
    input: EmbeddingInput | readonly EmbeddingInput[],
    options?: Without<EmbeddingOptions>,
  ) => Effect.Effect<EmbeddingResult, MlxdFailure>;
  /** Counts the tokens of a task's prompt. */
  readonly countTokens: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Effect.Effect<TokenCount, MlxdFailure>;
  /** Lists the models. */
  readonly listModels: (options?: Without<ListModelsOptions>) => Effect.Effect<readonly Model[], MlxdFailure>;
  /** Makes any other call. Pass the signal on, so that an interruption ends it. */
  readonly use: <A>(call: (client: MlxdClient, signal: AbortSignal) => Promise<A>) => Effect.Effect<A, MlxdFailure>;
}

/** The client as a service of Effect. Interrupting a call or leaving a stream ends it on the server. */
export class Mlxd extends Context.Service<Mlxd, MlxdService>()("@mlxd/client/effect/Mlxd") {
  /** A client over `fetch`, closed with its scope. */
  static readonly layer = (options: WebClientOptions = {}): Layer.Layer<Mlxd> =>
    Layer.effect(
      Mlxd,
      Effect.acquireRelease(
        Effect.sync(() => createMlxdClient(options)),
        (client) => Effect.sync(() => client.close()),
      ).pipe(Effect.map(serviceOf)),
    );

  /** An existing client, e.g. of `@mlxd/client/node`, which its owner has to close. */
  static readonly layerClient = (client: MlxdClient): Layer.Layer<Mlxd> => Layer.succeed(Mlxd, serviceOf(client));
}

const serviceOf = (client: MlxdClient): MlxdService => {
  const use: MlxdService["use"] = (call) =>
    Effect.tryPromise({ try: (signal) => call(client, signal), catch: failureOf });
  return Mlxd.of({
    use,
    generate: (input, options) => use((_, signal) => client.generate(input, { ...options, signal })),
    stream: (input, options) => streamOf(() => client.stream(input, options)),
    streamText: (input, options) => streamOf(() => client.stream(input, options).textDeltas()),
    generateObject: (schema, input, options) =>
      use((_, signal) => client.generateObject(schema, input, { ...options, signal })),
    streamObject: (schema, input, options) => streamOf(() => client.streamObject(schema, input, options)),
    runTools: (tools, input, options) => streamOf(() => client.runTools(tools, input, options)),
    batch: (items, options) => streamOf(() => client.batch(items, options)),
    embed: (input, options) => use((_, signal) => client.embed(input, { ...options, signal })),
    countTokens: (input, options) => use((_, signal) => client.countTokens(input, { ...options, signal })),
    listModels: (options) => use((_, signal) => client.listModels({ ...options, signal })),
  });
};

/** Invalid arguments fail the stream: creating an Effect does not throw. */
const streamOf = <A>(open: () => AsyncIterable<A>): Stream.Stream<A, MlxdFailure> =>
  Stream.unwrap(
    Effect.try({ try: open, catch: failureOf }).pipe(
      Effect.map((events) => Stream.fromAsyncIterable(events, failureOf)),
    ),
  );

const failureOf = (error: unknown): MlxdFailure => {
  const cause = decodeError(error);
  const { reason, code, message, retryAfterMs } = cause;
  return new MlxdFailure({ reason, code, message, retryAfterMs, cause });
};
