/** Finds mlxd.yaml and reads it into validated values. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Result, Schema, type SchemaAST, SchemaIssue } from "effect";

import { ConfigurationInvalid } from "../domain/errors.ts";
import type { Family } from "../domain/family.ts";
import { nearest } from "../domain/nearest.ts";
import type { AccessDeclaration } from "./access-schema.ts";
import { checkAccess } from "./check-access.ts";
import { ConfigFileSchema, type FamilyDeclaration, isName, type ModelDeclaration } from "./config-schema.ts";
import { type Backends, readBackends } from "./read-backends.ts";
import { type DeclaredEntries, mergeEntries, type RegisteredEntries } from "./registered-entries.ts";
import { settingKey, settingName, settingNames, settingProblem } from "./settings.ts";
import { type Path, readYaml, type YamlDocument } from "./yaml-document.ts";

/** The parts of the file about models and their families. */
export interface ModelsFile {
  /** The file's folder, which relative paths start from. */
  readonly directory: string;
  /** By id, in the file's order. */
  readonly models: Readonly<Record<string, ModelDeclaration>>;
  readonly families: Readonly<Partial<Record<Family, FamilyDeclaration>>>;
  /** Where models of other engines are. */
  readonly backends: Backends;
  /** Makes the error for the value at a path, e.g. `["models", "demo", "path"]`. */
  readonly invalid: (path: Path, problem: string) => ConfigurationInvalid;
}

export interface ConfigFile extends ModelsFile {
  readonly path: string;
  /** Its backends and models as they are written, with those that were registered. */
  readonly declared: DeclaredEntries;
  /** The `service` section as variables: `MLXD_PORT` for `port`. */
  readonly settings: ReadonlyMap<string, string>;
  /** Who may call; undefined: everybody. */
  readonly access: AccessDeclaration | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The nearest file with one of the names, from a folder upwards. */
export const findUpwards = (directory: string, names: ReadonlyArray<string>): string | undefined => {
  const found = names.map((name) => join(directory, name)).find((path) => existsSync(path));
  const parent = dirname(directory);
  if (found !== undefined || parent === directory) return found;
  return findUpwards(parent, names);
};

/** Throws ConfigurationInvalid for the first error. @param registered entries to read as if the file had them */
export const readConfigFile = (
  path: string,
  environment: Environment,
  registered: RegisteredEntries = [],
): ConfigFile => readDocument(path, readYaml(path, readText(path), environment), environment, registered);

/** What the entries are without a file. Throws ConfigurationInvalid. @param directory that relative paths start from */
export const readEntriesAlone = (
  directory: string,
  environment: Environment,
  registered: RegisteredEntries,
): ConfigFile => {
  const path = join(directory, "mlxd.yaml");
  return readDocument(path, readYaml(path, "", environment), environment, registered);
};

const readDocument = (
  path: string,
  document: YamlDocument,
  environment: Environment,
  registered: RegisteredEntries,
): ConfigFile => {
  const merged = mergeEntries(document.value, registered);
  const decoded = decode(merged);
  if (Result.isFailure(decoded)) throw describe({ ...document, value: merged }, decoded.failure.issue);
  const { service = {}, models = {}, families = {}, access, backends: servers = {} } = decoded.success;
  const directory = dirname(resolve(path));
  for (const id of Object.keys(models)) {
    if (isName(id)) continue;
    throw document.invalid(
      ["models", id],
      `an id begins with a letter or digit and goes on with these and . _ : @ + / -`,
    );
  }
  if (access !== undefined) checkAccess(access, document.invalid);
  const backends = readBackends(servers, { directory, environment, invalid: document.invalid });
  const settings = new Map<string, string>();
  for (const [key, value] of Object.entries(service)) {
    const name = settingName(key);
    const invalid = (problem: string) => document.invalid(["service", key], problem);
    if (!settingNames.includes(name) || key !== settingKey(name)) {
      throw invalid(unknownKey(key, settingNames.map(settingKey)));
    }
    const text = Array.isArray(value) ? value.join(",") : String(value);
    const problem = settingProblem(name, text);
    if (problem !== undefined) throw invalid(problem + received(value));
    settings.set(name, paths.has(name) ? resolve(directory, text) : text);
  }
  const declared = { backend: servers, model: models };
  return { path, declared, directory, settings, models, families, backends, access, invalid: document.invalid };
};

/** Settings that are paths: relative ones start from the file's folder. */
const paths: ReadonlySet<string> = new Set([
  "MLXD_MODELS",
  "MLXD_TLS_CERT",
  "MLXD_TLS_KEY",
  "MLXD_TLS_CLIENT_CA",
  "MLXD_AUDIT_LOG",
  "MLXD_SOCKET",
]);

/** Throws ConfigurationInvalid. */
export const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
    throw new ConfigurationInvalid({ file: path, line: 0, key: "", problem: `it cannot be read (${code})` });
  }
};

const decode = Schema.decodeUnknownResult(ConfigFileSchema, { errors: "first", onExcessProperty: "error" });

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "UnexpectedKey" ? excess : SchemaIssue.defaultLeafHook(issue)),
});
const excess = "no such key";

const describe = (document: YamlDocument, issue: SchemaIssue.Issue): ConfigurationInvalid => {
  const [first] = formatIssue(issue).issues;
  const path = (first?.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  const message = first?.message ?? "it is not as expected";
  const key = String(path.at(-1));
  const problem =
    message === excess
      ? unknownKey(key, knownKeys(ConfigFileSchema.ast, path.slice(0, -1)))
      : `${message.charAt(0).toLowerCase()}${message.slice(1)}${isSecret(path) ? "" : received(valueAt(document.value, path))}`;
  return document.invalid(path, problem);
};

const unknownKey = (key: string, known: ReadonlyArray<string>): string => {
  const [best] = nearest(key, known);
  return best === undefined ? `there is no such key; there are ${known.join(", ")}` : `there is no such key; ${best}?`;
};

/** The keys that the schema has at a path. */
const knownKeys = (ast: SchemaAST.AST, path: Path): ReadonlyArray<string> => {
  if (ast._tag !== "Objects") return [];
  const [key, ...rest] = path;
  if (key === undefined) return ast.propertySignatures.map(({ name }) => String(name));
  const inside = ast.propertySignatures.find(({ name }) => name === key)?.type ?? ast.indexSignatures[0]?.type;
  if (inside === undefined) return [];
  // In a path, a list's index is followed by its items' keys.
  return inside._tag === "Arrays" && inside.rest[0] !== undefined
    ? knownKeys(inside.rest[0], rest.slice(1))
    : knownKeys(inside, rest);
};

/** Where a hash is expected, a person may have written the key itself. */
const isSecret = (path: Path): boolean => path[0] === "access" && path.includes("keys");

/** The value, if it is short enough to be shown. */
const received = (value: unknown): string => {
  // JSON has no infinity and no NaN; YAML has.
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) as string | undefined);
  return text === undefined || text.length > 80 ? "" : `, got ${text}`;
};

const valueAt = (value: unknown, path: Path): unknown => {
  let found = value;
  for (const part of path) {
    found = typeof found === "object" && found !== null ? (found as Record<PropertyKey, unknown>)[part] : undefined;
  }
  return found;
};
