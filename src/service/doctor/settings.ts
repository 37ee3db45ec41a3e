/** Checks whether the service would start with the current configuration: settings, memory, models, port. */
import { totalmem } from "node:os";
import { join } from "node:path";
import { Effect, Exit, Result } from "effect";

import { Configuration, type LoadedConfiguration } from "../config/Configuration.ts";
import { engineSettings } from "../config/EngineConfig.ts";
import { modelsSettings } from "../config/models-settings.ts";
import { residencySettings } from "../config/ResidencyConfig.ts";
import { serverSettings } from "../config/ServerConfig.ts";
import { settingsProblem } from "../config/settings.ts";
import { exists, modelFolders } from "../models/files/model-folders.ts";
import { probePort } from "../server/probe-port.ts";
import { type Finding, ok, problem } from "./Finding.ts";

export interface Settings {
  readonly findings: ReadonlyArray<Finding>;
  /** The value of MLXD_BINDING. */
  readonly binding: string;
}

/**
 * @param args a service's command line
 * @param bundledModels the model folder if none is configured
 * @param isServing whether mlxd already answers at the address, and so holds the port
 */
export const checkSettings = async (
  args: ReadonlyArray<string>,
  bundledModels: string,
  isServing: boolean,
): Promise<Settings> => {
  const loaded = await Effect.runPromise(Effect.result(Effect.provide(Configuration, Configuration.layerWith(args))));
  if (Result.isFailure(loaded)) {
    return { findings: [problem("configuration", loaded.failure.message, "mend it as it says")], binding: "auto" };
  }
  const { provider, file } = loaded.success;
  const wrong = settingsProblem(provider);
  if (wrong !== undefined) {
    return { findings: [problem("configuration", wrong, "docs/configuration.md has the bounds")], binding: "auto" };
  }
  const where = file === undefined ? "no mlxd.yaml; environment and defaults" : file.path;
  const findings = await Promise.all([budget(provider), models(provider, bundledModels), port(provider, isServing)]);
  const { binding } = Effect.runSync(Effect.orDie(engineSettings.parse(provider)));
  return { findings: [ok("configuration", where), ...findings], binding };
};

type Provider = LoadedConfiguration["provider"];

const budget = async (provider: Provider): Promise<Finding> => {
  const { budgetBytes } = await Effect.runPromise(Effect.orDie(residencySettings.parse(provider)));
  const { kvCacheBytes, prefixCacheBytes } = await Effect.runPromise(Effect.orDie(engineSettings.parse(provider)));
  const gibibytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const what = `${gibibytes(budgetBytes)} of ${gibibytes(totalmem())} for models`;
  if (kvCacheBytes + prefixCacheBytes >= budgetBytes) {
    const caches = gibibytes(kvCacheBytes + prefixCacheBytes);
    const next = "set MLXD_KV_CACHE_BYTES or MLXD_PREFIX_CACHE_BYTES lower, or MLXD_MEMORY_BUDGET higher";
    return problem("memory", `${what}, and the caches of one model alone are ${caches}`, next);
  }
  return ok("memory", what);
};

const models = async (provider: Provider, bundledModels: string): Promise<Finding> => {
  const { directory } = await Effect.runPromise(Effect.orDie(modelsSettings(bundledModels).parse(provider)));
  const next = "set MLXD_MODELS to a folder of models, or fetch one with mlxd pull";
  try {
    const folders = await modelFolders(directory);
    const areModels = await Promise.all(folders.map((folder) => exists(join(folder, "config.json"))));
    const count = areModels.filter(Boolean).length;
    return count === 0
      ? problem("models", `${directory} has no model in it`, next)
      : ok("models", `${count} in ${directory}`);
  } catch (cause) {
    return problem("models", cause instanceof Error ? cause.message : String(cause), next);
  }
};

const port = async (provider: Provider, isServing: boolean): Promise<Finding> => {
  const { host, port: number, socket, tls } = await Effect.runPromise(Effect.orDie(serverSettings.parse(provider)));
  const address = socket ?? `${host}:${number}`;
  const probed = await Effect.runPromiseExit(probePort({ host, port: number, socket, tls }));
  if (Exit.isSuccess(probed)) return ok("port", `${address} is free`);
  if (isServing) return ok("port", `${address} is taken, by mlxd itself as it seems`);
  const taken = Effect.runSync(Effect.flip(probed));
  return problem("port", taken.message, "end what has it, or name another port with --port or MLXD_PORT");
};
