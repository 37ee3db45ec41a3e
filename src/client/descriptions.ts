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

/** A model as the service knows it. */
export interface Model extends Omit<Plain<ModelMessage>, "state" | "smokeTest"> {
  /** Where it stands. */
  readonly state: ModelState;
  /** How it did when it was last tried at this revision; undefined when it never was. */
  readonly smokeTest?: SmokeTest;
}

/** How a model did when it was asked a simple question. */
export interface SmokeTest extends Omit<Plain<SmokeTestMessage>, "quality"> {
  /** What its answer was worth. */
  readonly quality: Quality;
}

/** What a model is run with where a task does not say, and how it did when it was tried. */
export interface CompatibilityProfile extends Omit<Plain<CompatibilityProfileMessage>, "qualityStatus"> {
  /** How it did. */
  readonly qualityStatus: CompatibilityStatus;
}

/** Whether a model has room, and what it takes; in bytes. */
export type MemoryFit = Plain<MemoryFitMessage>;

/** What became of a model that was to be unloaded. */
export interface UnloadedModel extends Omit<Plain<UnloadModelResponse>, "model"> {
  /** The model. */
  readonly model: Model;
}

/** Which models went, and which stayed. */
export type UnloadedModels = Plain<UnloadAllModelsResponse>;

/** What is different after the catalog was read anew, by model id. */
export type CatalogChange = Plain<ReloadCatalogResponse>;

/** What the server is: version, device and limits. */
export interface ServerInfo extends Omit<Plain<GetServerInfoResponse>, "device"> {
  /** What the engine that was started last computes on; `unknown` before the first one has started. */
  readonly device: Device;
}

/** How the server is doing: counters since its start, and what is going on now. */
export interface ServerStats extends Omit<Plain<GetStatsResponse>, "models"> {
  /** Model by model, those that were used. */
  readonly models: readonly ModelStats[];
}

/** A model's part of the counters. */
export interface ModelStats extends Omit<Plain<ModelStatsMessage>, "state"> {
  /** Where it stands. */
  readonly state: ModelState;
}

// The casts: toPlain names enum values by the same rule as the types, which it knows as string.

/** Reads a model. */
export const modelFromWire = (model: GetModelResponse["model"]): Model => {
  if (!model) throw protocolError("the answer has no model");
  return toPlain(ModelSchema, model) as Model;
};

/** Reads what a model is run with. */
export const compatibilityFromWire = (profile: CompatibilityProfileMessage): CompatibilityProfile =>
  toPlain(CompatibilityProfileSchema, profile) as CompatibilityProfile;

/** Reads how a model would fit. */
export const memoryFitFromWire = ({ fit }: LoadModelResponse): MemoryFit => {
  if (!fit) throw protocolError("the answer does not tell whether the model fits");
  return toPlain(MemoryFitSchema, fit);
};

/** Reads what became of a model. */
export const unloadedModelFromWire = ({ model, unloaded, freedBytes }: UnloadModelResponse): UnloadedModel => ({
  model: modelFromWire(model),
  unloaded,
  freedBytes,
});

/** Reads which models went. */
export const unloadedModelsFromWire = (response: UnloadAllModelsResponse): UnloadedModels =>
  toPlain(UnloadAllModelsResponseSchema, response);

/** Reads what a reload changed. */
export const catalogChangeFromWire = (response: ReloadCatalogResponse): CatalogChange =>
  toPlain(ReloadCatalogResponseSchema, response);

/** Reads what the server is. */
export const serverInfoFromWire = (response: GetServerInfoResponse): ServerInfo =>
  toPlain(GetServerInfoResponseSchema, response) as ServerInfo;

/** Reads how the server is doing. */
export const serverStatsFromWire = (response: GetStatsResponse): ServerStats =>
  toPlain(GetStatsResponseSchema, response) as ServerStats;
