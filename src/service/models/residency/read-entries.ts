/** Reads the catalog. Failures are typed errors for a caller or the log. */
import { Effect, Schema } from "effect";

import { codeOf } from "../../checkpoint/checkpoint-files.ts";
import type { ModelsSettings } from "../../config/ModelsConfig.ts";
import { ConfigurationInvalid } from "../../domain/errors.ts";
import { readCatalog } from "../catalog/catalog.ts";
import type { ConversationDrivers } from "../catalog/declared-conversation-model.ts";
import type { ReadFolders } from "../files/read-sandboxed.ts";
import type { NameFailure } from "../names/resolve-name.ts";

/** The model folder cannot be read, so the service cannot start. */
class CatalogUnreadable extends Schema.TaggedError<CatalogUnreadable>()("CatalogUnreadable", {
  directory: Schema.String,
  code: Schema.String,
}) {
  override get message(): string {
    return `the model folder ${this.directory} cannot be read (${this.code})`;
  }
}

/** `NameFailure`: the default model is not in the catalog. */
export type CatalogFailure = CatalogUnreadable | ConfigurationInvalid | NameFailure;

export const readEntries = (settings: ModelsSettings, read: ReadFolders, drivers: ConversationDrivers) =>
  Effect.tryPromise({
    try: () => readCatalog(settings, read, drivers),
    catch: (error) =>
      error instanceof ConfigurationInvalid
        ? error
        : new CatalogUnreadable({ directory: settings.directory, code: codeOf(error) }),
  });

/** The same as an invalid configuration, which names the setting at fault: in the file, or else the variable. */
export const asConfigurationInvalid = (error: CatalogFailure, settings: ModelsSettings): ConfigurationInvalid => {
  if (error._tag === "ConfigurationInvalid") return error;
  const isFolder = error._tag === "CatalogUnreadable";
  const key = isFolder ? "models" : "default_model";
  const variable = `MLXD_${key.toUpperCase()}`;
  const { file, defaultModel } = settings;
  // A variable or an option takes precedence over the file.
  const isOfFile = file !== undefined && (isFolder || file.settings?.get(variable) === defaultModel);
  return isOfFile
    ? file.invalid(["service", key], error.message)
    : new ConfigurationInvalid({ file: "", line: 0, key: variable, problem: error.message });
};
