/** Reads the backends: those of mlxd.yaml, and the default one of each engine. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Redacted } from "effect";

import { type BackendEngine, type BackendPreset, backendPresets, isBackendEngine } from "../domain/backend-presets.ts";
import { canonicalEngine } from "../domain/engine-names.ts";
import type { ConfigurationInvalid } from "../domain/errors.ts";
import type { BackendDeclarations } from "./backends-schema.ts";
import { type ManagedServerSettings, readManaged } from "./managed-backend.ts";
import type { Path } from "./yaml-document.ts";

export interface BackendSettings {
  /** The name in the configuration, in lower case; for an engine's default backend, the engine's name. */
  readonly name: string;
  readonly engine: BackendEngine;
  /** Up to the version, without a slash at its end. Where mlxd starts the server, each process has another port. */
  readonly baseUrl: string;
  readonly apiKey: Redacted.Redacted | undefined;
  /**
   * How many requests run there at once. All backends on one host share one gate; the smallest of their numbers
   * applies.
   */
  readonly permits: number;
  readonly connectTimeoutMs: number;
  /** The limit until the headers of the answer, and between two pieces of its body. */
  readonly readTimeoutMs: number;
  /** The time limit while the server reads nothing of the request. */
  readonly writeTimeoutMs: number;
  /** Until a connection is free, beside the time that making one takes. */
  readonly poolTimeoutMs: number;
  /** How often the server is probed, even without tasks; undefined: only after it has failed. */
  readonly probeIntervalMs: number | undefined;
  /** How its server is started; absent where others start it. */
  readonly managed?: ManagedServerSettings | undefined;
}

export type Backends = ReadonlyMap<string, BackendSettings>;

type Environment = Readonly<Record<string, string | undefined>>;

interface Place {
  /** The folder that relative paths start from. */
  readonly directory: string;
  readonly environment: Environment;
  readonly invalid: (path: Path, problem: string) => ConfigurationInvalid;
}

/**
 * By name. Each engine has a backend of its own name, unless the file declares one with that name. Throws
 * ConfigurationInvalid.
 */
export const readBackends = (declared: BackendDeclarations, place: Place): Backends => {
  const backends = new Map<string, BackendSettings>();
  for (const [engine, preset] of Object.entries(backendPresets) as [BackendEngine, BackendPreset][]) {
    const invalid = (field: Path, problem: string) => place.invalid(["backends", engine, ...field], problem);
    backends.set(engine, { ...defaults, name: engine, engine, ...ofPreset(preset, place.environment, invalid) });
  }
  const secrets = keyVariables(declared);
  const seen = new Set<string>();
  for (const [key, declaration] of Object.entries(declared)) {
    const invalid = (field: Path, problem: string) => place.invalid(["backends", key, ...field], problem);
    const name = backendName(key);
    if (!nameCharacters.test(name)) {
      throw invalid(
        [],
        "a backend's name begins with a letter or digit, goes on with these and . _ - and has 64 at most",
      );
    }
    if (seen.has(name)) throw invalid([], "is there twice: case and spaces around a name do not matter");
    seen.add(name);
    const engine = canonicalEngine(declaration.engine);
    if (engine === undefined || !isBackendEngine(engine)) {
      throw invalid(
        ["engine"],
        `"${declaration.engine}" is no engine of backends; there are ${Object.keys(backendPresets).join(", ")}`,
      );
    }
    const own = ofPreset(backendPresets[engine], place.environment, invalid);
    // The preset's key belongs to the preset's server and must not be sent to another one.
    const presetKey = declaration.base_url === undefined ? own.apiKey : undefined;
    backends.set(name, {
      name,
      engine,
      baseUrl: declaration.base_url === undefined ? own.baseUrl : checkedUrl(declaration.base_url, invalid),
      apiKey: declaredKey(declaration, place, invalid) ?? presetKey,
      permits: declaration.permits ?? defaults.permits,
      connectTimeoutMs: declaration.connect_timeout_ms ?? defaults.connectTimeoutMs,
      readTimeoutMs: declaration.read_timeout_ms ?? defaults.readTimeoutMs,
      writeTimeoutMs: declaration.write_timeout_ms ?? defaults.writeTimeoutMs,
      poolTimeoutMs: declaration.pool_timeout_ms ?? defaults.poolTimeoutMs,
      probeIntervalMs: declaration.probe_interval_ms,
      managed: readManaged(declaration, engine, { ...place, secrets }, invalid),
    });
  }
  return backends;
};

/** The variables that presets and the file name. */
const keyVariables = (declared: BackendDeclarations): ReadonlySet<string> =>
  new Set(
    [
      ...Object.values<BackendPreset>(backendPresets).map(({ keyVariable }) => keyVariable),
      ...Object.values(declared).map(({ api_key_variable: variable }) => variable),
    ].filter((name) => name !== undefined),
  );

/** Ignores surrounding spaces and case. */
export const backendName = (name: string): string => name.trim().toLowerCase();

const nameCharacters = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const defaults = {
  permits: 1,
  connectTimeoutMs: 5_000,
  readTimeoutMs: 120_000,
  writeTimeoutMs: 10_000,
  poolTimeoutMs: 5_000,
  probeIntervalMs: undefined,
};

const ofPreset = (preset: BackendPreset, environment: Environment, invalid: Invalid) => {
  const { baseUrlVariable, keyVariable } = preset;
  const elsewhere = baseUrlVariable === undefined ? "" : (environment[baseUrlVariable]?.trim() ?? "");
  const baseUrl =
    elsewhere === ""
      ? preset.baseUrl
      : checkedUrl(elsewhere, (field, problem) => invalid(field, `${baseUrlVariable}: ${problem}`));
  const key = keyVariable === undefined ? "" : (environment[keyVariable]?.trim() ?? "");
  // People name the server and not its API.
  const isRoot = new URL(baseUrl).pathname === "/";
  return {
    baseUrl: isRoot ? `${baseUrl}/v1` : baseUrl,
    apiKey: key === "" || !isKey(key) ? undefined : Redacted.make(key),
  };
};

type Invalid = (field: Path, problem: string) => ConfigurationInvalid;

const checkedUrl = (text: string, invalid: Invalid): string => {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.host === "") {
    throw invalid(["base_url"], "is to be a URL as http://HOST:PORT/v1");
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid(["base_url"], "holds credentials, which would be told: api_key_variable or api_key_file names them");
  }
  if (url.search !== "" || url.hash !== "") throw invalid(["base_url"], "ends with its path: nothing follows ? or #");
  return url.href.replace(/\/+$/, "");
};

const declaredKey = (
  { api_key_variable: variable, api_key_file: file }: BackendDeclarations[string],
  { directory, environment }: Place,
  invalid: Invalid,
): Redacted.Redacted | undefined => {
  if (variable !== undefined && file !== undefined) {
    throw invalid(["api_key_file"], "there is api_key_variable as well: one of them names the key");
  }
  if (variable !== undefined) {
    const key = environment[variable]?.trim() ?? "";
    if (key === "") throw invalid(["api_key_variable"], "this variable is not set, or empty");
    return checkedKey(key, (problem) => invalid(["api_key_variable"], problem));
  }
  if (file === undefined) return undefined;
  return checkedKey(readKey(resolve(directory, file), invalid), (problem) => invalid(["api_key_file"], problem));
};

const readKey = (path: string, invalid: Invalid): string => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
    throw invalid(["api_key_file"], `this file cannot be read (${code})`);
  }
};

const checkedKey = (key: string, invalid: (problem: string) => ConfigurationInvalid): Redacted.Redacted => {
  if (!isKey(key)) throw invalid("holds no key: one has 1 to 4096 visible ASCII characters");
  return Redacted.make(key);
};

/** Characters that are allowed in a header. */
const isKey = (key: string): boolean => /^[\x21-\x7e]{1,4096}$/.test(key);
