/** Which models there are. */
import { basename } from "node:path";
import { Context, Effect, Layer } from "effect";

import type { ConfigurationInvalid } from "../domain/errors.ts";
import type { ModelsFile } from "./config-file.ts";
import { Configuration, type LoadedConfiguration } from "./Configuration.ts";
import { modelsSettings } from "./models-settings.ts";

export interface ModelsSettings {
  /** Folder whose subfolders are models; or itself a model's folder. */
  readonly directory: string;
  /** Id of the model that an empty name means; empty: the first of the catalog. */
  readonly defaultModel: string;
  /** What the configuration file says of models; absent without one. */
  readonly file?: ModelsFile | undefined;
}

export class ModelsConfig extends Context.Service<
  ModelsConfig,
  ModelsSettings & {
    /** As they are now; the folder stays. Absent where they cannot change. */
    readonly reread?: Effect.Effect<ModelsSettings, ConfigurationInvalid>;
  }
>()("mlxd/config/ModelsConfig") {
  static readonly layer = (bundledModels: string) => {
    const read = ({ provider, file }: LoadedConfiguration) =>
      // Texts with defaults: nothing in them can be wrong.
      Effect.map(Effect.orDie(modelsSettings(bundledModels).parse(provider)), (values) => ({ ...values, file }));
    return Layer.effect(
      ModelsConfig,
      Effect.gen(function* () {
        const configuration = yield* Configuration;
        const { file } = configuration;
        if (file !== undefined)
          yield* Effect.logInfo("configuration file").pipe(Effect.annotateLogs({ file: basename(file.path) }));
        const settings = yield* read(configuration);
        const reread = configuration.reread.pipe(
          Effect.tap((now) => warnOfOthers(file?.settings, now.file?.settings)),
          Effect.flatMap(read),
          // What is downloaded goes into it.
          Effect.map((now) => ({ ...now, directory: settings.directory })),
        );
        return { ...settings, reread };
      }),
    );
  };
}

/** Settings that the service has read already. */
const warnOfOthers = (
  before: ReadonlyMap<string, string> = new Map(),
  now: ReadonlyMap<string, string> = new Map(),
): Effect.Effect<void> => {
  const others = [...new Set([...before.keys(), ...now.keys()])].filter(
    (name) => name !== "MLXD_DEFAULT_MODEL" && before.get(name) !== now.get(name),
  );
  if (others.length === 0) return Effect.void;
  return Effect.annotateLogs(Effect.logWarning("settings that count from the next start on have changed"), {
    settings: others.join(" "),
  });
};
