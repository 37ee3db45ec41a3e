/**
 * The settings of the service by name. Each is a variable, a key of the file's `service` section and, except for
 * secrets, a command line option: `MLXD_MAX_RUNNING`, `max_running`, `--max-running`. The list is found by observing
 * what the settings' readers read, so it cannot diverge from them.
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

/** Not accepted on the command line, which every user of the machine can see in the list of processes. */
export const secretNames: ReadonlySet<string> = new Set(["MLXD_HF_TOKEN", "MLXD_JOBS_STORE"]);

/** Why a variable may not have the value, in one line; undefined if it may. */
export const settingProblem = (name: string, value: string): string | undefined => {
  const provider = ConfigProvider.fromUnknown({ [name]: value });
  for (const settings of all) {
    const read = Effect.runSync(Effect.result(Effect.asVoid(settings.parse(provider))));
    if (Result.isFailure(read)) return plainProblem(read.failure.message);
  }
  return undefined;
};

/** The first error in the settings of a provider, in one line; undefined if there is none. */
export const settingsProblem = (provider: ConfigProvider.ConfigProvider): string | undefined => {
  for (const settings of all) {
    const read = Effect.runSync(Effect.result(Effect.asVoid(settings.parse(provider))));
    if (Result.isFailure(read)) return plainFailure(read.failure.message);
  }
  return undefined;
};

/** Without the error's name before it and the variable after it. */
const plainProblem = (message: string): string => {
  const problem = (message.split("\n", 1)[0] ?? message).replace(/^SchemaError\(/, "");
  return problem.charAt(0).toLowerCase() + problem.slice(1);
};

/** Formats a failed setting for the operator: the variable, and the allowed values. Other messages stay as they are. */
export const plainFailure = (message: string): string => {
  const variable = /\n\s+at \["(\w+)"\]\)$/.exec(message)?.[1];
  return variable === undefined ? message : `${variable}: ${plainProblem(message)}`;
};

/** `MLXD_MAX_RUNNING` for `max_running` and for `max-running`. */
export const settingName = (key: string): string => prefix + key.replaceAll("-", "_").toUpperCase();

/** `max_running` for `MLXD_MAX_RUNNING`. */
export const settingKey = (name: string): string => name.slice(prefix.length).toLowerCase();
