import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import {
  CancelGenerationRequestSchema,
  CancelGenerationResponse_State as CancelState,
  GenerateRequestSchema,
  type GenerationService,
  StreamGenerateRequestSchema,
} from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import type * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import type { Progress } from "../domain/errors.ts";
import type { GenerationEvent, OutputOptions } from "../domain/generation.ts";
import { Models } from "../models/Models.ts";
import { Generations } from "../pipeline/Generations.ts";
import { batchGenerate } from "./batch-generate.ts";
import { Bridge } from "./Bridge.ts";
import { inOnePiece } from "./in-one-piece.ts";
import { coalesce } from "./coalesce.ts";
import { eventToWire, resultToWire } from "./generation-to-wire.ts";
import { checkedTask } from "./task-from-wire.ts";
import { validate } from "./validate.ts";

export const makeGenerationService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const generations = yield* Generations;
  const models = yield* Models;
  return {
    generate: (request, context) =>
      bridge.unary(context, (call) =>
        Effect.gen(function* () {
          yield* validate(GenerateRequestSchema, request);
          const task = yield* inOnePiece(yield* checkedTask(request.task, models));
          return { result: resultToWire(yield* generations.run(task, call), task.output) };
        }),
      ),
    streamGenerate: (request, context) => {
      const meter = new ProgressMeter();
      const reported = reportedOf(request.task);
      return bridge.stream(context, {
        stream: (call) =>
          Stream.unwrap(
            Effect.gen(function* () {
              yield* validate(StreamGenerateRequestSchema, request);
              const task = yield* checkedTask(request.task, models);
              return coalesce(task.output)(generations.stream(task, call));
            }),
          ),
        toWire: (event, sequence) => {
          meter.count(event);
          return eventToWire(event, sequence, reported);
        },
        progress: () => meter.progress,
      });
    },
    batchGenerate: (request, context) =>
      bridge.stream(context, {
        stream: (call) => batchGenerate({ generations, models }, request, call),
        toWire: (response) => response,
      }),
    cancelGeneration: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(CancelGenerationRequestSchema, request);
          const running = yield* generations.cancel(request.generationId);
          return { state: running ? CancelState.CANCELLING : CancelState.NOT_RUNNING };
        }),
      ),
  } satisfies ServiceImpl<typeof GenerationService>;
});

const reportedOf = (task: wire.GenerationTask | undefined): Pick<OutputOptions, "tokenIds" | "timings"> => ({
  tokenIds: task?.output?.tokenIds ?? false,
  timings: task?.output?.timings ?? false,
});

/** How far a stream has come, for a status that the pipeline does not make. */
class ProgressMeter {
  #generationId: string | undefined;
  #promptTokens = 0;
  #cachedPromptTokens = 0;
  /** Of each candidate. */
  readonly #outputTokens: number[] = [];

  count(event: GenerationEvent): void {
    if (event.type === "started") {
      this.#generationId = event.generationId;
      this.#promptTokens = event.promptTokens;
      this.#cachedPromptTokens = event.cachedPromptTokens;
    } else {
      this.#outputTokens[event.candidateIndex] = event.type === "chunk" ? event.outputTokens : event.usage.outputTokens;
    }
  }

  /** None before the generation has started. */
  get progress(): Progress | undefined {
    if (this.#generationId === undefined) return undefined;
    const usage = {
      promptTokens: this.#promptTokens,
      cachedPromptTokens: this.#cachedPromptTokens,
      outputTokens: this.#outputTokens.reduce((sum, tokens) => sum + tokens, 0),
    };
    return { generationId: this.#generationId, usage };
  }
}
