/**
 * The settings of the service by name. Every one is a variable, a key of the file's `service` section and, but for
 * secrets, an option of the command line: `MLXD_MAX_RUNNING`, `max_running`, `--max-running`. They are found by asking
 * what is read, so there is no second list of them.
 */
import { type Config, ConfigProvider, Effect, Result } from "effect";

import { admissionSettings } from "./AdmissionConfig.ts";
import { downloadSettings } from "./DownloadConfig.ts";
import { engineSettings } from "./EngineConfig.ts";
import { jobsSettings } from "./JobsConfig.ts";
import { logSettings } from "./LogConfig.ts";
import { modelsSettings } from "./models-settings.ts";
import { qualitySettings } from "./QualityConfig.ts";
import { residencySettings } from "./ResidencyConfig.ts";
import { sandboxSettings } from "./SandboxConfig.ts";
import { serverSettings } from "./ServerConfig.ts";
import { traceSettings } from "./TraceConfig.ts";

const prefix = "MLXD_";

const all: ReadonlyArray<Config.Config<unknown>> = [
  admissionSettings,
  downloadSettings,
  engineSettings,
  jobsSettings,
  logSettings,
  modelsSettings(""),
  qualitySettings,
  residencySettings,
  sandboxSettings,
  serverSettings,
  traceSettings,
];

/** Names of variables, sorted. */
export const settingNames: ReadonlyArray<string> = (() => {
  const names = new Set<string>();
  const recorder = ConfigProvider.make((path) => {
    names.add(path.join("_"));
    return Effect.succeed(undefined);
  });
  for (const settings of all) Effect.runSync(Effect.exit(settings.parse(recorder)));
  return [...names].filter((name) => name.startsWith(prefix)).toSorted();
})();

/** Not taken from the command line, which everybody on the machine can read in the list of processes. */
export const secretNames: ReadonlySet<string> = new Set(["MLXD_HF_TOKEN", "MLXD_JOBS_STORE"]);

/** Why a variable may not have the value, in one line; undefined when it may. */
export const settingProblem = (name: string, value: string): string | undefined => {
  const provider = ConfigProvider.fromUnknown({ [name]: value });
  for (const settings of all) {
    const read = Effect.runSync(Effect.result(Effect.asVoid(settings.parse(provider))));
    if (Result.isFailure(read)) return plainProblem(read.failure.message);
  }
  return undefined;
};

/** What is wrong with the settings that a provider gives, the first of it, in one line; undefined: nothing. */
export const settingsProblem = (provider: ConfigProvider.ConfigProvider): string | undefined => {
  for (const settings of all) {
    const read = Effect.runSync(Effect.result(Effect.asVoid(settings.parse(provider))));
    if (Result.isFailure(read)) return plainFailure(read.failure.message);
  }
  return undefined;
};

/** Without the error's name around it and the variable behind it. */
const plainProblem = (message: string): string => {
  const problem = (message.split("\n", 1)[0] ?? message).replace(/^SchemaError\(/, "");
  return problem.charAt(0).toLowerCase() + problem.slice(1);
};

/** A failure to read settings as the operator reads it: the variable, and what it may be. Other messages as they are. */
export const plainFailure = (message: string): string => {
  const variable = /\n\s+at \["(\w+)"\]\)$/.exec(message)?.[1];
  return variable === undefined ? message : `${variable}: ${plainProblem(message)}`;
};

/** `MLXD_MAX_RUNNING` for `max_running` and for `max-running`. */
export const settingName = (key: string): string => prefix + key.replaceAll("-", "_").toUpperCase();

/** `max_running` for `MLXD_MAX_RUNNING`. */
export const settingKey = (name: string): string => name.slice(prefix.length).toLowerCase();
