/** Which models there are. */
import { Config, Context, Layer } from "effect";

export interface ModelsSettings {
  /** Folder whose subfolders are models; or itself a model's folder. */
  readonly directory: string;
  /** Id of the model that an empty name means; empty: the first of the catalog. */
  readonly defaultModel: string;
}

const settings = (bundledModels: string) =>
  Config.all({
    directory: Config.String("MLXD_MODELS").pipe(Config.withDefault(bundledModels)),
    defaultModel: Config.String("MLXD_DEFAULT_MODEL").pipe(Config.withDefault("")),
  });

export class ModelsConfig extends Context.Service<ModelsConfig, ModelsSettings>()("mlxd/config/ModelsConfig") {
  /** `bundledModels`: the folder that holds the embedded demo model. */
  static readonly layer = (bundledModels: string) => Layer.effect(ModelsConfig, settings(bundledModels));
}
