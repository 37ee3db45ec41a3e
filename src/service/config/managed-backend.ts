/** Reads how the server of a backend is started, where mlxd starts it. */
import { statSync } from "node:fs";
import { resolve } from "node:path";

import { type BackendEngine, type BackendPreset, backendPresets } from "../domain/backend-presets.ts";
import type { ConfigurationInvalid } from "../domain/errors.ts";
import type { BackendDeclarations } from "./backends-schema.ts";
import type { Path } from "./yaml-document.ts";

export interface ManagedServerSettings {
  /** The program and its arguments, with placeholders. */
  readonly command: readonly [string, ...ReadonlyArray<string>];
  /** The whole of it, with placeholders in the values of the configuration. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly directory: string;
  /** Until it has answered for the first time. */
  readonly startTimeoutMs: number;
}

interface Place {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Variables of this service's environment that hold keys: they are no business of the server's. */
  readonly secrets: ReadonlySet<string>;
}

type Invalid = (field: Path, problem: string) => ConfigurationInvalid;
type Declaration = BackendDeclarations[string];

/** Undefined for a server that others start. Throws ConfigurationInvalid. */
export const readManaged = (
  declaration: Declaration,
  engine: BackendEngine,
  place: Place,
  invalid: Invalid,
): ManagedServerSettings | undefined => {
  const { managed, command: own, environment = {}, directory = ".", start_timeout_ms: startTimeoutMs } = declaration;
  if (managed !== true && own === undefined) {
    const without = onlyManaged.find((key) => declaration[key] !== undefined);
    if (without === undefined) return undefined;
    throw invalid([without], "is for a server that mlxd starts: command says how, or managed: true");
  }
  if (managed === false) throw invalid(["managed"], "there is a command, which is for a server that mlxd starts");
  if (declaration.base_url !== undefined) {
    throw invalid(["base_url"], "mlxd chooses the port of a server that it starts: leave it out");
  }
  const [program, ...rest] = own ?? (backendPresets[engine] as BackendPreset).command ?? [];
  if (program === undefined) {
    throw invalid(["managed"], `how a server of ${engine} is started is not known here: command says it`);
  }
  const misnamed = Object.keys(environment).find((key) => !variableName.test(key));
  if (misnamed !== undefined) throw invalid(["environment", misnamed], "a variable's name has letters, digits and _");
  for (const [key, text] of [...rest.map((text) => ["command", text] as const), ...Object.entries(environment)]) {
    const unknown = [...text.matchAll(/\{(\w+)\}/g)].find(([, name = ""]) => !placeholders.includes(name));
    if (unknown === undefined) continue;
    throw invalid(
      key === "command" ? [key] : ["environment", key],
      `there is no ${unknown[0]}; there are ${placeholders.map((name) => `{${name}}`).join(", ")}`,
    );
  }
  if (![...rest, ...Object.values(environment)].some((text) => text.includes("{port}"))) {
    throw invalid(["command"], "has no {port}, nor has environment: the server has to listen where mlxd calls it");
  }
  const absolute = resolve(place.directory, directory);
  if (!isFolder(absolute)) throw invalid(["directory"], "there is no such folder");
  return {
    command: [program, ...rest],
    environment: { ...withoutSecrets(place), ...environment },
    directory: absolute,
    startTimeoutMs: startTimeoutMs ?? defaultStartTimeoutMs,
  };
};

const variableName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Names in braces, which `fillIn` replaces. */
const placeholders: ReadonlyArray<string> = ["host", "port", "model"];

export interface Placement {
  readonly host: string;
  readonly port: number;
  /** Its name at the server. */
  readonly model: string;
}

export const fillIn = (text: string, placement: Placement): string =>
  text.replaceAll(/\{(host|port|model)\}/g, (_, name: keyof Placement) => String(placement[name]));

const onlyManaged = ["environment", "directory", "start_timeout_ms"] as const;

/** As for this service's own engines. */
const defaultStartTimeoutMs = 600_000;

/** What begins so is this service's own affair. */
const ownPrefix = "MLXD_";

const withoutSecrets = ({ environment, secrets }: Place): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !secrets.has(name) && !name.startsWith(ownPrefix)));

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
