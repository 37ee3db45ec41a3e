import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import {
  CancelGenerationResponse_State as CancelState,
  type GenerationService,
} from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { Access } from "../access/Access.ts";
import type { OutputOptions } from "../domain/generation-task.ts";
import { Models } from "../models/Models.ts";
import { Generations } from "../pipeline/Generations.ts";
import { batchGenerate } from "./batch-generate.ts";
import { Bridge } from "./Bridge.ts";
import { inOnePiece } from "./in-one-piece.ts";
import { namingModel } from "./naming-model.ts";
import { coalesce } from "./coalesce.ts";
import { eventToWire, resultToWire } from "./generation-to-wire.ts";
import { checkedTask } from "./task-from-wire.ts";

export const makeGenerationService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const generations = yield* Generations;
  const models = yield* Models;
  const { allowanceOf } = yield* Access;
  return {
    generate: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const task = yield* namingModel(models)(inOnePiece(yield* checkedTask(request.task, models)));
          return { result: resultToWire(yield* generations.run(task), task.output) };
        }),
      ),
    streamGenerate: (received, context) => {
      let reported: Reported = { tokenIds: false, timings: false };
      return bridge.stream(received, context, {
        stream: (request) =>
          Stream.unwrap(
            Effect.gen(function* () {
              const task = yield* checkedTask(request.task, models);
              reported = task.output;
              return coalesce(task.output)(generations.stream(task));
            }),
          ),
        toWire: (event, sequence) => eventToWire(event, sequence, reported),
      });
    },
    batchGenerate: (received, context) =>
      bridge.stream(received, context, {
        stream: (request) => batchGenerate({ generations, models, allowanceOf }, request),
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

/** The options that determine how a stream's events are reported. */
type Reported = Pick<OutputOptions, "tokenIds" | "timings">;
