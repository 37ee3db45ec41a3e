import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  checkEnum,
  checkFlag,
  checkKeys,
  checkMs,
  checkObject,
  checkText,
  checkTokenIds,
  checkWhole,
} from "./check.ts";
import { durationFromMs } from "./durations.ts";
import { enumName, type Pooling } from "./enum-names.ts";
import { assertNoOthers, protocolError } from "./errors.ts";
import {
  type Embedding as EmbeddingMessage,
  EmbeddingSchema,
  type EmbeddingInputSchema,
  type EmbedRequestSchema,
  type EmbedResponse,
  Pooling as PoolingValue,
  PoolingSchema,
} from "./gen/mlxd/v1/embedding_service_pb.ts";
import { type Plain, toPlain } from "./plain.ts";
import { checkPriority } from "./set-parameters.ts";
import { type Usage, usageFromWire } from "./usage.ts";

/** What to embed: a text, or token ids. */
export type EmbeddingInput = string | { readonly tokens: readonly number[] | Uint32Array };

/** How embeddings are computed. */
export interface EmbeddingParameters {
  /**
   * Id, alias or repository path of the model.
   * @default the client's `defaultModel`, or else the service's default model
   */
  readonly model?: string | undefined;
  /** Refuse the call if another revision of the model is loaded. */
  readonly modelRevision?: string | undefined;
  /**
   * How the hidden states of a text become one vector.
   * @default that of the model
   */
  readonly pooling?: Exclude<Pooling, "unknown"> | undefined;
  /**
   * Scale each embedding to length 1.
   * @default true
   */
  readonly normalize?: boolean | undefined;
  /**
   * Keep only this many leading dimensions; for models that were trained for it.
   * @default all
   */
  readonly dimensions?: number | undefined;
  /**
   * Truncate a text that does not fit into the context, instead of refusing it.
   * @default false
   */
  readonly truncate?: boolean | undefined;
  /** Calls with a higher priority run first; -1000 to 1000. */
  readonly priority?: number | undefined;
  /** Tasks with the same id share one turn among those with other ids. */
  readonly fairnessId?: string | undefined;
  /** Wait at most this long for admission, then fail with `QUEUE_TIMEOUT`. */
  readonly maxQueueWaitMs?: number | undefined;
}

/** An embedding, its number of tokens, and whether its text was truncated. */
export type Embedding = Plain<EmbeddingMessage>;

/** The embeddings of a call. */
export interface EmbeddingResult {
  /** Id of the model. */
  readonly model: string;
  /** Its revision. */
  readonly modelRevision: string;
  /** One for each input, in the same order. */
  readonly embeddings: readonly Embedding[];
  /** Tokens used, over all inputs. */
  readonly usage: Usage;
  /** How the hidden states became one vector. */
  readonly pooling: Pooling;
  /** Whether the embeddings have length 1. */
  readonly normalized: boolean;
}

/** The message to send for these inputs. */
export const embedRequest = (
  inputs: EmbeddingInput | readonly EmbeddingInput[],
  parameters: EmbeddingParameters,
  defaultModel: string,
): MessageInitShape<typeof EmbedRequestSchema> => {
  const { model = defaultModel, modelRevision, pooling, normalize, dimensions, truncate = false, ...rest } = parameters;
  const { priority = 0, fairnessId = "", maxQueueWaitMs, ...others } = rest;
  assertNoOthers(others);
  return {
    model: checkText(model, "model"),
    inputs: Array.isArray(inputs)
      ? inputs.map((input, index) => inputToWire(input, `inputs[${index}]`))
      : [inputToWire(inputs, "input")],
    truncate: checkFlag(truncate, "truncate"),
    scheduling: {
      priority: checkPriority(priority, "priority"),
      fairnessId: checkText(fairnessId, "fairnessId"),
      ...(maxQueueWaitMs !== undefined && { maxQueueWait: durationFromMs(checkMs(maxQueueWaitMs, "maxQueueWaitMs")) }),
    },
    ...(modelRevision !== undefined && { modelRevision: checkText(modelRevision, "modelRevision") }),
    ...(pooling !== undefined && { pooling: checkEnum(PoolingValue, pooling, "pooling") }),
    ...(normalize !== undefined && { normalize: checkFlag(normalize, "normalize") }),
    ...(dimensions !== undefined && { dimensions: checkWhole(dimensions, "dimensions") }),
  };
};

/** Reads the embeddings. */
export const embeddingsFromWire = (response: EmbedResponse, inputs: number): EmbeddingResult => {
  const { model, modelRevision, embeddings, usage, pooling, normalized } = response;
  if (embeddings.length !== inputs)
    throw protocolError(`there are ${embeddings.length} embeddings for ${inputs} inputs`);
  return {
    model,
    modelRevision,
    embeddings: embeddings.map((embedding) => toPlain(EmbeddingSchema, embedding)),
    usage: usageFromWire(usage),
    pooling: enumName(PoolingSchema, pooling) as Pooling, // the type has the same names
    normalized,
  };
};

const inputToWire = (input: unknown, place: string): MessageInitShape<typeof EmbeddingInputSchema> => {
  if (typeof input === "string") return { input: { case: "text", value: checkText(input, place) } };
  const given = checkObject(input, place);
  checkKeys(given, place, ["tokens"], "input");
  return { input: { case: "tokens", value: { ids: checkTokenIds(given["tokens"], `${place}.tokens`) } } };
};
