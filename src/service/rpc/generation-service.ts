import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import {
  CancelGenerationResponse_State as CancelState,
  type GenerationService,
} from "../../client/gen/mlxd/v1/generation_service_pb.ts";
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

export const makeGenerationService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const generations = yield* Generations;
  const models = yield* Models;
  return {
    generate: (received, context) =>
      bridge.unary(received, context, (request, call) =>
        Effect.gen(function* () {
          const task = yield* inOnePiece(yield* checkedTask(request.task, models));
          return { result: resultToWire(yield* generations.run(task, call), task.output) };
        }),
      ),
    streamGenerate: (received, context) => {
      const meter = new ProgressMeter();
      let reported: Reported = { tokenIds: false, timings: false };
      return bridge.stream(received, context, {
        stream: (request, call) =>
          Stream.unwrap(
            Effect.gen(function* () {
              const task = yield* checkedTask(request.task, models);
              reported = task.output;
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
    batchGenerate: (received, context) =>
      bridge.stream(received, context, {
        stream: (request, call) => batchGenerate({ generations, models }, request, call),
        toWire: (response) => response,
      }),
    cancelGeneration: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const running = yield* generations.cancel(request.generationId);
          return { state: running ? CancelState.CANCELLING : CancelState.NOT_RUNNING };
        }),
      ),
  } satisfies ServiceImpl<typeof GenerationService>;
});

/** What a stream's events are told with. */
type Reported = Pick<OutputOptions, "tokenIds" | "timings">;

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
