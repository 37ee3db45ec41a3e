import { Config } from "effect";

/** @param bundledModels the folder that holds the embedded demo model */
export const modelsSettings = (bundledModels: string) =>
  Config.all({
    directory: Config.String("MLXD_MODELS").pipe(Config.withDefault(bundledModels)),
    defaultModel: Config.String("MLXD_DEFAULT_MODEL").pipe(Config.withDefault("")),
  });
