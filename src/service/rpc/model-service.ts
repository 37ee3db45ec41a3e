import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import {
  GetModelRequestSchema,
  ListModelsRequestSchema,
  type ModelService,
  PrepareModelRequestSchema,
} from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { ModelState, ModelStatus } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Preparations } from "../pipeline/prepare/Preparations.ts";
import { Bridge } from "./Bridge.ts";
import { pageOf } from "./model-pages.ts";
import { modelStates, modelToWire } from "./model-to-wire.ts";
import { prepareEventToWire } from "./preparation-to-wire.ts";
import { validate } from "./validate.ts";

export const makeModelService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const preparations = yield* Preparations;
  const describe = (status: ModelStatus) => modelToWire(status, preparations.smokeTestOf(status.facts));
  return {
    listModels: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(ListModelsRequestSchema, request);
          const page = yield* Effect.fromResult(
            pageOf(yield* models.list, {
              pageSize: request.pageSize,
              pageToken: request.pageToken,
              states: new Set(statesFromWire(request.states)),
            }),
          );
          return { models: page.models.map(describe), nextPageToken: page.nextPageToken };
        }),
      ),
    getModel: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(GetModelRequestSchema, request);
          return { model: describe(yield* models.get(request.model)) };
        }),
      ),
    prepareModel: (request, context) =>
      bridge.stream(context, {
        stream: () =>
          Stream.unwrap(Effect.as(validate(PrepareModelRequestSchema, request), preparations.prepare(request))),
        toWire: (event) => prepareEventToWire(event, describe),
        // A download may take longer than any generation.
        endless: true,
      }),
  } satisfies ServiceImpl<typeof ModelService>;
});

const statesFromWire = (states: ReadonlyArray<number>): ReadonlyArray<ModelState> =>
  (Object.keys(modelStates) as ReadonlyArray<ModelState>).filter((state) => states.includes(modelStates[state]));
