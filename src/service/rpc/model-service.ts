import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { Effect } from "effect";

import { type ModelService, PreloadModelsResponseSchema } from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { ModelState, ModelStatus } from "../domain/model.ts";
import { type ModelFit, Models } from "../models/Models.ts";
import { Preparations } from "../pipeline/prepare/Preparations.ts";
import { Bridge } from "./Bridge.ts";
import { compatibilityToWire } from "./compatibility-to-wire.ts";
import { optionalMs } from "./duration.ts";
import { enginesOf, pageOf } from "./model-pages.ts";
import { isResidentState, modelStates, modelToWire } from "./model-to-wire.ts";
import { prepareEventToWire, reportToWire } from "./preparation-to-wire.ts";
import { unloadOptions } from "./unload-options.ts";

export const makeModelService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const preparations = yield* Preparations;
  const describe = (status: ModelStatus) =>
    modelToWire(status, preparations.smokeTestOf(status.facts), preparations.refusesChat(status.facts));
  return {
    listModels: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const engines = yield* Effect.fromResult(enginesOf(request.engines));
          const page = yield* Effect.fromResult(
            pageOf(yield* models.list, {
              engines,
              pageSize: request.pageSize,
              pageToken: request.pageToken,
              states: new Set(statesFromWire(request.states)),
            }),
          );
          return { models: page.models.map(describe), nextPageToken: page.nextPageToken };
        }),
      ),
    listLoadedModels: (received, context) =>
      bridge.unary(received, context, () =>
        Effect.map(models.list, (all) => ({
          models: all
            .filter(({ state }) => isResidentState[state])
            .toSorted((one, other) => (other.lastUsedAt ?? 0) - (one.lastUsedAt ?? 0))
            .map(describe),
        })),
      ),
    listCompatibilityProfiles: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const page = yield* Effect.fromResult(
            pageOf(yield* models.list, { ...request, states: new Set(), engines: new Set() }),
          );
          const profiles = page.models.map((model) => compatibilityToWire(preparations.compatibilityOf(model)));
          return { profiles, nextPageToken: page.nextPageToken };
        }),
      ),
    getModel: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          return { model: describe(yield* models.get(request.model)) };
        }),
      ),
    loadModel: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { model, pinned } = request;
          if (request.validateOnly) {
            const fit = yield* models.fit(model);
            return { model: describe(yield* models.get(model)), fit: fitToWire(fit) };
          }
          const idleTtlMs = yield* Effect.fromResult(optionalMs("idle_ttl", request.idleTtl));
          const loaded = yield* preparations.load({ model, pinned, idleTtlMs });
          return { model: describe(loaded.model), report: reportToWire(loaded.report, describe) };
        }),
      ),
    preloadModels: (received, context) =>
      bridge.stream(received, context, {
        stream: ({ models: names }) => preparations.preload(names),
        toWire: ({ index, name, report }) =>
          create(PreloadModelsResponseSchema, { index, model: name, report: reportToWire(report, describe) }),
        // It takes as long as all its loads together.
        endless: true,
      }),
    unloadModel: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const unloaded = yield* models.unload(request.model, yield* unloadOptions(request));
          return { model: describe(yield* models.get(request.model)), ...unloaded };
        }),
      ),
    unloadAllModels: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { includePinned } = request;
          const all = yield* models.unloadAll({ includePinned, ...(yield* unloadOptions(request)) });
          return { ...all, unloaded: [...all.unloaded], kept: [...all.kept] };
        }),
      ),
    pinModel: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          return { model: describe(yield* models.pin(request.model, request.pinned ?? true)) };
        }),
      ),
    reloadCatalog: (received, context) =>
      bridge.unary(received, context, () =>
        models.reload.pipe(
          Effect.map(({ added, removed, changed }) => ({
            added: [...added],
            removed: [...removed],
            changed: [...changed],
          })),
        ),
      ),
    prepareModel: (received, context) =>
      bridge.stream(received, context, {
        stream: ({ model, revision, retest }) => preparations.prepare({ model, revision, retest }),
        toWire: (event) => prepareEventToWire(event, describe),
        // A download may take longer than any generation.
        endless: true,
      }),
  } satisfies ServiceImpl<typeof ModelService>;
});

const fitToWire = ({ evict, waitFor, ...fit }: ModelFit) => ({ ...fit, evicts: [...evict], waitsFor: [...waitFor] });

const statesFromWire = (states: ReadonlyArray<number>): ReadonlyArray<ModelState> =>
  (Object.keys(modelStates) as ReadonlyArray<ModelState>).filter((state) => states.includes(modelStates[state]));
