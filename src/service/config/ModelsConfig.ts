/** Which models there are and how much an engine may take. */
import { Config, Context, Layer } from "effect";

export interface ModelsSettings {
  /** Folder whose subfolders are models; or itself a model's folder. */
  readonly directory: string;
  /** Id of the model that an empty name means; empty: the first of the catalog. */
  readonly defaultModel: string;
  /** Sequences of one model that run at once. */
  readonly maxRunning: number;
  /** Generations of one model that wait. */
  readonly maxQueued: number;
  /** Prompt tokens computed between two decode steps. */
  readonly prefillSliceTokens: number;
  /** Bytes of KV cache of one engine. */
  readonly kvCacheBytes: number;
}

const settings = (bundledModels: string) =>
  Config.all({
    directory: Config.String("MLXD_MODELS").pipe(Config.withDefault(bundledModels)),
    defaultModel: Config.String("MLXD_DEFAULT_MODEL").pipe(Config.withDefault("")),
    maxRunning: Config.Int("MLXD_MAX_RUNNING").pipe(Config.withDefault(32)),
    maxQueued: Config.Int("MLXD_MAX_QUEUED").pipe(Config.withDefault(256)),
    prefillSliceTokens: Config.Int("MLXD_PREFILL_SLICE_TOKENS").pipe(Config.withDefault(256)),
    kvCacheBytes: Config.Int("MLXD_KV_CACHE_BYTES").pipe(Config.withDefault(2 * 1024 ** 3)),
  });

export class ModelsConfig extends Context.Service<ModelsConfig, ModelsSettings>()("mlxd/config/ModelsConfig") {
  /** `bundledModels`: the folder that holds the embedded demo model. */
  static readonly layer = (bundledModels: string) => Layer.effect(ModelsConfig, settings(bundledModels));
}
