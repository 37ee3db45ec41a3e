/** Where models are, and which one is the default. */
import { basename } from "node:path";
import { Config, Context, Effect, Layer } from "effect";

import type { ConfigurationInvalid } from "../domain/errors.ts";
import type { CatalogKey } from "./catalog-keys.ts";
import type { ConfigFile, ModelsFile } from "./config-file.ts";
import { Configuration, type LoadedConfiguration } from "./Configuration.ts";
import { modelsSettings } from "./models-settings.ts";
import type { DeclaredEntries, RegisteredEntries, RegisteredEntry } from "./registered-entries.ts";
import { tryWriteEntry, writeEntry } from "./write-entry.ts";

export interface ModelsSettings {
  /** The folder whose subfolders are models, or a model's own folder. */
  readonly directory: string;
  /** Id of the default model, which an empty name refers to; empty: the first of the catalog. */
  readonly defaultModel: string;
  /** The keys that registered entries may name. @default none */
  readonly catalogKeys?: ReadonlyArray<CatalogKey>;
  /** What the configuration file says of models, and its settings; absent without a file. */
  readonly file?: (ModelsFile & Partial<Pick<ConfigFile, "settings">>) | undefined;
}

export class ModelsConfig extends Context.Service<
  ModelsConfig,
  ModelsSettings & {
    /** Reads the current settings; the folder does not change. Absent if they cannot change. */
    readonly reread?: Effect.Effect<ModelsSettings, ConfigurationInvalid>;
    /** Backends and models that are registered while the service runs; absent if the settings cannot change. */
    readonly entries?: {
      /** As `reread`, as if the file had these entries. */
      readonly read: (
        registered: RegisteredEntries,
        /** Whether to warn of other settings that have changed in the file. @default false */
        warns?: boolean,
      ) => Effect.Effect<ModelsSettings & { readonly declared: DeclaredEntries }, ConfigurationInvalid>;
      /** Writes an entry to the configuration file. */
      readonly write: (entry: RegisteredEntry) => Effect.Effect<void, ConfigurationInvalid>;
      /** Fails where `write` would. */
      readonly tryWrite: (entry: RegisteredEntry) => Effect.Effect<void, ConfigurationInvalid>;
    };
  }
>()("mlxd/config/ModelsConfig") {
  static readonly layer = (bundledModels: string) => {
    const read = ({ provider, file }: LoadedConfiguration) =>
      // Strings with defaults are always valid.
      Effect.map(Effect.orDie(modelsSettings(bundledModels).parse(provider)), (values) => ({ ...values, file }));
    return Layer.effect(
      ModelsConfig,
      Effect.gen(function* () {
        const configuration = yield* Configuration;
        const { file } = configuration;
        if (file !== undefined)
          yield* Effect.logInfo("configuration file").pipe(Effect.annotateLogs({ file: basename(file.path) }));
        if ((yield* Effect.orDie(routingFile.parse(configuration.provider))) !== "")
          yield* Effect.logWarning(
            "INFERENCE_RUNTIME_CONFIG is not read: docs/configuration.md says where its keys go",
          );
        const settings = yield* read(configuration);
        const warn = (now: LoadedConfiguration) => warnOfOthers(file?.settings, now.file?.settings);
        const reread = configuration.reread.pipe(
          Effect.tap(warn),
          Effect.flatMap(read),
          // Downloads go into the folder, so it must not change.
          Effect.map((now) => ({ ...now, directory: settings.directory })),
        );
        /** Of the file that is there now: it may have been created since the service started. */
        const path = configuration.reread.pipe(
          Effect.map((now) => now.file?.path),
          // Without the entries it may be invalid.
          Effect.orElseSucceed(() => file?.path),
        );
        const entries = {
          read: (registered: RegisteredEntries, warns = false) =>
            configuration.rereadWith(registered).pipe(
              Effect.tap((now) => (warns ? warn(now) : Effect.void)),
              Effect.flatMap((now) =>
                Effect.map(read(now), (values) => ({
                  ...values,
                  directory: settings.directory,
                  declared: now.file?.declared ?? { backend: {}, model: {} },
                })),
              ),
            ),
          write: (entry: RegisteredEntry) => Effect.flatMap(path, (now) => writeEntry(now, entry)),
          tryWrite: (entry: RegisteredEntry) => Effect.flatMap(path, (now) => tryWriteEntry(now, entry)),
        };
        return { ...settings, reread, entries };
      }),
    );
  };
}

/** Another program's file. */
const routingFile = Config.String("INFERENCE_RUNTIME_CONFIG").pipe(Config.withDefault(""));

/** Warns of changed settings that only take effect after a restart. */
const warnOfOthers = (
  before: ReadonlyMap<string, string> = new Map(),
  now: ReadonlyMap<string, string> = new Map(),
): Effect.Effect<void> => {
  const others = [...new Set([...before.keys(), ...now.keys()])].filter(
    (name) => name !== "MLXD_DEFAULT_MODEL" && before.get(name) !== now.get(name),
  );
  if (others.length === 0) return Effect.void;
  return Effect.annotateLogs(Effect.logWarning("changed settings take effect at the next start"), {
    settings: others.join(" "),
  });
};
