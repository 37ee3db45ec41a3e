import { Config } from "effect";

import { catalogKeys } from "./catalog-keys.ts";

/** @param bundledModels the folder that contains the demo model */
export const modelsSettings = (bundledModels: string) =>
  Config.all({
    directory: Config.String("MLXD_MODELS").pipe(Config.withDefault(bundledModels)),
    defaultModel: Config.String("MLXD_DEFAULT_MODEL").pipe(Config.withDefault("")),
    catalogKeys,
  });
