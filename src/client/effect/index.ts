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
import type { InferOutput, StandardJsonSchema } from "../objects/standard-schema.ts";
import type { GenerationResult } from "../results.ts";
import type { GenerationInput } from "../task.ts";
import type { ToolRunEvent, ToolRunInput, ToolRunOptions } from "../tools/run.ts";
import type { RunnableTool } from "../tools/tool.ts";
import { createMlxdClient, type WebClientOptions } from "../web.ts";

/** A call that failed. Its `reason` is what to branch on; `cause` is the client's own error, with all that it knows. */
export class MlxdFailure extends Data.TaggedError("MlxdFailure")<{
  readonly reason: MlxdErrorReason;
  readonly code: MlxdErrorCode;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  readonly cause: MlxdError;
}> {}

/** Options of a call; what a signal is for, interruption does. */
type Without<Options> = Omit<Options, "signal">;

/** What the service {@link Mlxd} does. */
export interface MlxdService {
  /** Generates and gives the whole result. */
  readonly generate: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Effect.Effect<GenerationResult, MlxdFailure>;
  /** Generates and gives the events as they come. */
  readonly stream: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Stream.Stream<GenerationEvent, MlxdFailure>;
  /** Generates and gives the text of the first answer, piece by piece. */
  readonly streamText: (
    input: GenerationInput,
    options?: Without<GenerationOptions>,
  ) => Stream.Stream<string, MlxdFailure>;
  /** Generates an object that fits a schema. */
  readonly generateObject: <Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: Without<ObjectOptions>,
  ) => Effect.Effect<ObjectResult<InferOutput<Schema>>, MlxdFailure>;
  /** Generates an object, and gives it as far as it has come. */
  readonly streamObject: <Schema extends StandardJsonSchema>(
    schema: Schema,
    input: GenerationInput,
    options?: Without<ObjectOptions>,
  ) => Stream.Stream<PartialOf<InferOutput<Schema>>, MlxdFailure>;
  /** Runs tools until the model answers. */
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
  /** Makes vectors of texts. */
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
  /** Any other call: give the signal on, so that an interruption ends it. */
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

  /** A client that you have, e.g. of `@mlxd/client/node`; it is yours to close. */
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

/** What is wrong with the arguments fails the stream, too: an Effect does not throw when it is made. */
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
