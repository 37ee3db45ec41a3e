import type { CallOptions as ConnectCallOptions } from "@connectrpc/connect";
import { type Caller, checkOptions } from "./caller.ts";
import { checkEnum, checkFlag, checkList, checkMs, checkText, checkTexts } from "./check.ts";
import { durationFromMs } from "./durations.ts";
import type { MlxdClient, RawClients } from "./client.ts";
import {
  catalogChangeFromWire,
  compatibilityFromWire,
  memoryFitFromWire,
  modelFromWire,
  unloadedModelFromWire,
  unloadedModelsFromWire,
} from "./descriptions.ts";
import { ModelState } from "./gen/mlxd/v1/model_service_pb.ts";
import { allPages } from "./pages.ts";
import { PreloadStream } from "./preload.ts";
import { PreparationStream, reportFromWire } from "./preparation.ts";

type ModelCalls = Pick<
  MlxdClient,
  | "listModels"
  | "listLoadedModels"
  | "listCompatibilityProfiles"
  | "getModel"
  | "prepareModel"
  | "loadModel"
  | "preloadModels"
  | "checkModelFit"
  | "unloadModel"
  | "unloadAllModels"
  | "pinModel"
  | "reloadCatalog"
>;

/** The largest page that the service returns. */
const maxPageSize = 1_000;

/** The calls of the ModelService. */
export const createModelCalls = (caller: Caller, raw: RawClients["models"]): ModelCalls => ({
  listModels: async (options = {}) => {
    const { states = [], engines = [], ...call } = checkOptions(options);
    const request = {
      states: checkList(states, "states").map((state, at) => checkEnum(ModelState, state, `states[${at}]`)),
      engines: checkTexts(engines, "engines"),
      pageSize: maxPageSize,
    };
    return allPages(async (pageToken) => {
      const response = await caller.unary(call, (connect) => raw.listModels({ ...request, pageToken }, connect));
      return { items: response.models.map(modelFromWire), next: response.nextPageToken };
    });
  },

  listLoadedModels: async (options = {}) => {
    const { models } = await caller.unary(options, (connect) => raw.listLoadedModels({}, connect));
    return models.map(modelFromWire);
  },

  listCompatibilityProfiles: async (options = {}) =>
    allPages(async (pageToken) => {
      const page = { pageToken, pageSize: maxPageSize };
      const response = await caller.unary(options, (connect) => raw.listCompatibilityProfiles(page, connect));
      return { items: response.profiles.map(compatibilityFromWire), next: response.nextPageToken };
    }),

  getModel: async (model = caller.model, options = {}) => {
    const request = { model: checkText(model, "model") };
    const response = await caller.unary(options, (connect) => raw.getModel(request, connect));
    return modelFromWire(response.model);
  },

  prepareModel: (model = caller.model, options = {}) => {
    const { revision = "", retest = false, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      revision: checkText(revision, "revision"),
      retest: checkFlag(retest, "retest"),
    };
    const open = (connect: ConnectCallOptions) => raw.prepareModel(request, connect);
    return new PreparationStream(caller.source(call, open));
  },

  loadModel: async (model = caller.model, options = {}) => {
    const { pinned, idleTtlMs, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      ...(pinned !== undefined && { pinned: checkFlag(pinned, "pinned") }),
      ...(idleTtlMs !== undefined && { idleTtl: durationFromMs(checkMs(idleTtlMs, "idleTtlMs")) }),
    };
    const response = await caller.unary(call, (connect) => raw.loadModel(request, connect));
    const loaded = modelFromWire(response.model);
    return response.report ? { ...loaded, report: reportFromWire(response.report) } : loaded;
  },

  preloadModels: (models, options = {}) => {
    const request = { models: checkTexts(models, "models") };
    const open = (connect: ConnectCallOptions) => raw.preloadModels(request, connect);
    return new PreloadStream(caller.source(checkOptions(options), open), request.models.length);
  },

  checkModelFit: async (model = caller.model, options = {}) => {
    const request = { model: checkText(model, "model"), validateOnly: true };
    return memoryFitFromWire(await caller.unary(options, (connect) => raw.loadModel(request, connect)));
  },

  unloadModel: async (model, options = {}) => {
    const { drainTimeoutMs, force = false, ...call } = checkOptions(options);
    const request = {
      model: checkText(model, "model"),
      force: checkFlag(force, "force"),
      ...drainTimeout(drainTimeoutMs),
    };
    return unloadedModelFromWire(await caller.unary(call, (connect) => raw.unloadModel(request, connect)));
  },

  unloadAllModels: async (options = {}) => {
    const { drainTimeoutMs, force = false, includePinned = false, ...call } = checkOptions(options);
    const request = {
      force: checkFlag(force, "force"),
      includePinned: checkFlag(includePinned, "includePinned"),
      ...drainTimeout(drainTimeoutMs),
    };
    return unloadedModelsFromWire(await caller.unary(call, (connect) => raw.unloadAllModels(request, connect)));
  },

  pinModel: async (model, pinned = true, options = {}) => {
    const request = { model: checkText(model, "model"), pinned: checkFlag(pinned, "pinned") };
    const response = await caller.unary(options, (connect) => raw.pinModel(request, connect));
    return modelFromWire(response.model);
  },

  reloadCatalog: async (options = {}) =>
    catalogChangeFromWire(await caller.unary(options, (connect) => raw.reloadCatalog({}, connect))),
});

const drainTimeout = (ms: unknown) =>
  ms === undefined ? {} : { drainTimeout: durationFromMs(checkMs(ms, "drainTimeoutMs")) };
