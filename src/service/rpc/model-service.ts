import { basename } from "node:path";
import type { ServiceImpl } from "@connectrpc/connect";
import { Effect } from "effect";

import {
  GetModelRequestSchema,
  ListModelsRequestSchema,
  type ModelService,
} from "../../client/gen/mlxd/v1/model_service_pb.ts";
import { ConfigurationInvalid } from "../domain/errors.ts";
import type { ModelState } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Bridge } from "./Bridge.ts";
import { pageOf } from "./model-pages.ts";
import { modelStates, modelToWire } from "./model-to-wire.ts";
import { validate } from "./validate.ts";

export const makeModelService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
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
          return { models: page.models.map(modelToWire), nextPageToken: page.nextPageToken };
        }),
      ),
    getModel: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(GetModelRequestSchema, request);
          return { model: modelToWire(yield* models.get(request.model)) };
        }),
      ),
    reloadCatalog: (_request, context) =>
      bridge.unary(context, () =>
        models.reload.pipe(
          Effect.map(({ added, removed, changed }) => ({
            added: [...added],
            removed: [...removed],
            changed: [...changed],
          })),
          // Where the file lies is nobody's business.
          Effect.mapError((error) => new ConfigurationInvalid({ ...error, file: basename(error.file) })),
        ),
      ),
  } satisfies ServiceImpl<typeof ModelService>;
});

const statesFromWire = (states: ReadonlyArray<number>): ReadonlyArray<ModelState> =>
  (Object.keys(modelStates) as ReadonlyArray<ModelState>).filter((state) => states.includes(modelStates[state]));
