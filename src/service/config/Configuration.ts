/**
 * Combines the sources of settings. The command line takes precedence over the environment, mlxd.yaml and `.env`, in
 * this order.
 */
import { dirname, resolve } from "node:path";
import { parseArgs, parseEnv } from "node:util";
import { ConfigProvider, Context, Effect, Layer } from "effect";

import { ConfigurationInvalid } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import { type ConfigFile, findUpwards, readConfigFile, readEntriesAlone, readText } from "./config-file.ts";
import type { RegisteredEntries } from "./registered-entries.ts";
import { secretNames, settingKey, settingName, settingNames } from "./settings.ts";

export interface ConfigurationSources {
  /** Without the program's own name. */
  readonly args: ReadonlyArray<string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Files are searched from this folder upwards. */
  readonly workingDirectory: string;
}

export interface LoadedConfiguration {
  readonly provider: ConfigProvider.ConfigProvider;
  /** Undefined if there is no file. */
  readonly file: ConfigFile | undefined;
}

export class Configuration extends Context.Service<
  Configuration,
  LoadedConfiguration & {
    /** Reads the files again. This alone does not change the settings that are in effect. */
    readonly reread: Effect.Effect<LoadedConfiguration, ConfigurationInvalid>;
    /** As `reread`, as if the file had these entries. There is a file then, even if it is not on disk. */
    readonly rereadWith: (registered: RegisteredEntries) => Effect.Effect<LoadedConfiguration, ConfigurationInvalid>;
  }
>()("mlxd/config/Configuration") {
  /** Provides the settings to every layer that reads its own. */
  static readonly layer = (sources: ConfigurationSources) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const loaded = yield* load(sources);
        const rereadWith = (registered: RegisteredEntries) => load(sources, registered);
        const configuration = Configuration.of({ ...loaded, reread: load(sources), rereadWith });
        return Layer.merge(Layer.succeed(Configuration, configuration), ConfigProvider.layer(loaded.provider));
      }),
    );

  /** The sources of this process, with another command line. */
  static readonly layerWith = (args: ReadonlyArray<string>) =>
    Layer.suspend(() => Configuration.layer({ args, environment: process.env, workingDirectory: process.cwd() }));

  /** The sources of this process. */
  static readonly layerProcess = Layer.suspend(() => Configuration.layerWith(process.argv.slice(2)));
}

const load = (
  sources: ConfigurationSources,
  registered?: RegisteredEntries,
): Effect.Effect<LoadedConfiguration, ConfigurationInvalid> =>
  Effect.try({
    try: () => loadSync(sources, registered),
    catch: (cause) => {
      if (cause instanceof ConfigurationInvalid) return cause;
      throw cause;
    },
  });

/** Throws ConfigurationInvalid. */
const loadSync = (
  { args, environment, workingDirectory }: ConfigurationSources,
  registered: RegisteredEntries | undefined,
): LoadedConfiguration => {
  const { config: named, ...flags } = readArguments(args);
  const chosen = named ?? nonEmpty(environment["MLXD_CONFIG"]);
  const path =
    chosen === undefined ? findUpwards(workingDirectory, configFileNames) : resolve(workingDirectory, chosen);
  const dotEnv = findUpwards(path === undefined ? workingDirectory : dirname(path), [".env"]);
  const variables = { ...(dotEnv === undefined ? {} : parseEnv(readText(dotEnv))), ...environment };
  const file =
    path !== undefined
      ? readConfigFile(path, variables, registered)
      : registered && readEntriesAlone(workingDirectory, variables, registered);
  const values: Record<string, string | undefined> = Object.fromEntries(file?.settings ?? []);
  // An empty variable counts as unset.
  for (const name of settingNames) values[name] = nonEmpty(variables[name]) ?? values[name];
  for (const [flag, value] of Object.entries(flags)) values[settingName(flag)] = value;
  // What other programs' configuration calls it; it counts where nothing else names a default.
  values["MLXD_DEFAULT_MODEL"] ??= nonEmpty(variables["INFERENCE_DEFAULT_MODEL"]);
  const provider = ConfigProvider.fromUnknown(values).pipe(
    ConfigProvider.orElse(ConfigProvider.fromEnvRecord({ ...variables })),
  );
  return { provider, file };
};

const configFileNames = ["mlxd.yaml", "mlxd.yml", "mlxd.json"];

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

const readArguments = (args: ReadonlyArray<string>): Readonly<Record<string, string | undefined>> => {
  const optionOf = (name: string) => settingKey(name).replaceAll("_", "-");
  const known = ["config", ...settingNames.filter((name) => !secretNames.has(name)).map(optionOf)];
  const options = Object.fromEntries(known.map((name) => [name, { type: "string" as const }]));
  const fail = (key: string, problem: string) =>
    new ConfigurationInvalid({ file: "the command line", line: 0, key, problem });
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string> = {};
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw fail(token.value, "there is nothing to do with this");
    const name = token.name;
    const secret = [...secretNames].find((each) => optionOf(each) === name);
    if (secret !== undefined) {
      const problem = `is a secret, and a command line is read by all on this machine: set ${secret}, or ${settingKey(secret)} in mlxd.yaml`;
      throw fail(token.rawName, problem);
    }
    if (!known.includes(name)) {
      const [best] = nearest(name, known);
      throw fail(token.rawName, best === undefined ? "there is no such option" : `there is no such option; --${best}?`);
    }
    if (token.value === undefined) throw fail(token.rawName, "needs a value");
    values[name] = token.value;
  }
  return values;
};
