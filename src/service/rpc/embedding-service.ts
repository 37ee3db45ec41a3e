import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Result } from "effect";

import * as wire from "../../client/gen/mlxd/v1/embedding_service_pb.ts";
import type { EmbeddingInput, EmbeddingTask, Pooling } from "../domain/embedding.ts";
import { type InvalidField, UnsupportedParameter } from "../domain/errors.ts";
import { Models } from "../models/Models.ts";
import { Embeddings } from "../pipeline/Embeddings.ts";
import { Bridge } from "./Bridge.ts";
import { invalidField } from "./invalid-field.ts";
import { namingModel } from "./naming-model.ts";
import { schedulingFromWire } from "./task-from-wire.ts";
import { unknownField } from "./unknown-field.ts";

export const makeEmbeddingService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const embeddings = yield* Embeddings;
  const models = yield* Models;
  return {
    embed: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const task = yield* namingModel(models)(Effect.fromResult(taskFromWire(request)));
          const result = yield* embeddings.run(task);
          return {
            ...result,
            embeddings: result.embeddings.map(({ values, ...rest }) => ({ ...rest, values: [...values] })),
            pooling: poolingToWire[result.pooling],
            normalized: task.normalize,
          };
        }),
      ),
  } satisfies ServiceImpl<typeof wire.EmbeddingService>;
});

export const poolingToWire = {
  "last-token": wire.Pooling.LAST_TOKEN,
  mean: wire.Pooling.MEAN,
  "first-token": wire.Pooling.FIRST_TOKEN,
} as const satisfies Record<Pooling, wire.Pooling>;

const taskFromWire = (request: wire.EmbedRequest): Result.Result<EmbeddingTask, InvalidField | UnsupportedParameter> =>
  Result.gen(function* () {
    const unknown = unknownField(wire.EmbedRequestSchema, request, "");
    if (unknown !== undefined) {
      const hint = "this version of the service does not know the field";
      const field = unknown.replace(/^\./, "");
      return yield* Result.fail(new UnsupportedParameter({ field, model: request.model, hint }));
    }
    const inputs: EmbeddingInput[] = [];
    for (const [index, { input }] of request.inputs.entries()) {
      if (input.case === "text") inputs.push({ type: "text", text: input.value });
      else if (input.case === "tokens") inputs.push({ type: "tokens", ids: input.value.ids });
      else return yield* Result.fail(invalidField(`inputs[${index}]`, "exactly one of text, tokens must be set"));
    }
    const pooling = poolings.find((each) => poolingToWire[each] === request.pooling);
    return {
      model: request.model,
      inputs,
      normalize: request.normalize ?? true,
      truncate: request.truncate,
      scheduling: yield* schedulingFromWire(request.scheduling, "scheduling"),
      ...(request.modelRevision !== undefined && { modelRevision: request.modelRevision }),
      ...(request.dimensions !== undefined && { dimensions: request.dimensions }),
      ...(pooling !== undefined && { pooling }),
    };
  });

const poolings: ReadonlyArray<Pooling> = ["last-token", "mean", "first-token"];
