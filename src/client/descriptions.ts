import type { CompatibilityStatus, Device, ModelState, Quality } from "./enum-names.ts";
import {
  type CompatibilityProfile as CompatibilityProfileMessage,
  CompatibilityProfileSchema,
  type GetModelResponse,
  type LoadModelResponse,
  type MemoryFit as MemoryFitMessage,
  MemoryFitSchema,
  type Model as ModelMessage,
  ModelSchema,
  type ReloadCatalogResponse,
  ReloadCatalogResponseSchema,
  type SmokeTest as SmokeTestMessage,
  type UnloadAllModelsResponse,
  UnloadAllModelsResponseSchema,
  type UnloadModelResponse,
} from "./gen/mlxd/v1/model_service_pb.ts";
import {
  type GetServerInfoResponse,
  GetServerInfoResponseSchema,
  type GetStatsResponse,
  GetStatsResponseSchema,
  type ModelStats as ModelStatsMessage,
} from "./gen/mlxd/v1/server_service_pb.ts";
import { protocolError } from "./errors.ts";
import { type Plain, toPlain } from "./plain.ts";

/** A model of the service. */
export interface Model extends Omit<Plain<ModelMessage>, "state" | "smokeTest"> {
  /** Its state. */
  readonly state: ModelState;
  /** The last smoke test of this revision; undefined if there was none. */
  readonly smokeTest?: SmokeTest;
}

/** The result of asking a model a simple question. */
export interface SmokeTest extends Omit<Plain<SmokeTestMessage>, "quality"> {
  /** The quality of its answer. */
  readonly quality: Quality;
}

/** The default parameters of a model, and the result of its smoke test. */
export interface CompatibilityProfile extends Omit<Plain<CompatibilityProfileMessage>, "qualityStatus"> {
  /** The result of its smoke test. */
  readonly qualityStatus: CompatibilityStatus;
}

/** Whether a model fits into memory, and what it needs; in bytes. */
export type MemoryFit = Plain<MemoryFitMessage>;

/** The outcome of unloading a model. */
export interface UnloadedModel extends Omit<Plain<UnloadModelResponse>, "model"> {
  /** The model. */
  readonly model: Model;
}

/** Which models were unloaded, and which were not. */
export type UnloadedModels = Plain<UnloadAllModelsResponse>;

/** What changed when the catalog was read again, by model id. */
export type CatalogChange = Plain<ReloadCatalogResponse>;

/** The version, device and limits of the server. */
export interface ServerInfo extends Omit<Plain<GetServerInfoResponse>, "device"> {
  /** The device of the engine that was started last; `unknown` before the first one has started. */
  readonly device: Device;
}

/** Counters since the start of the server, and its current load. */
export interface ServerStats extends Omit<Plain<GetStatsResponse>, "models"> {
  /** For each model that was used. */
  readonly models: readonly ModelStats[];
}

/** The counters of one model. */
export interface ModelStats extends Omit<Plain<ModelStatsMessage>, "state"> {
  /** Its state. */
  readonly state: ModelState;
}

// The casts: toPlain returns enum values as string; the types have the same names.

/** Reads a model. */
export const modelFromWire = (model: GetModelResponse["model"]): Model => {
  if (!model) throw protocolError("the response has no model");
  return toPlain(ModelSchema, model) as Model;
};

/** Reads a compatibility profile. */
export const compatibilityFromWire = (profile: CompatibilityProfileMessage): CompatibilityProfile =>
  toPlain(CompatibilityProfileSchema, profile) as CompatibilityProfile;

/** Reads whether a model fits. */
export const memoryFitFromWire = ({ fit }: LoadModelResponse): MemoryFit => {
  if (!fit) throw protocolError("the response does not say whether the model fits");
  return toPlain(MemoryFitSchema, fit);
};

/** Reads the outcome of unloading a model. */
export const unloadedModelFromWire = ({ model, unloaded, freedBytes }: UnloadModelResponse): UnloadedModel => ({
  model: modelFromWire(model),
  unloaded,
  freedBytes,
});

/** Reads which models were unloaded. */
export const unloadedModelsFromWire = (response: UnloadAllModelsResponse): UnloadedModels =>
  toPlain(UnloadAllModelsResponseSchema, response);

/** Reads what a reload changed. */
export const catalogChangeFromWire = (response: ReloadCatalogResponse): CatalogChange =>
  toPlain(ReloadCatalogResponseSchema, response);

/** Reads the description of the server. */
export const serverInfoFromWire = (response: GetServerInfoResponse): ServerInfo =>
  toPlain(GetServerInfoResponseSchema, response) as ServerInfo;

/** Reads the statistics of the server. */
export const serverStatsFromWire = (response: GetStatsResponse): ServerStats =>
  toPlain(GetStatsResponseSchema, response) as ServerStats;
