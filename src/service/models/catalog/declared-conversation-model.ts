/**
 * A declared model whose engine takes conversations. It has no local files, so its facts come from the configuration
 * and the driver.
 */
import { resolve } from "node:path";

import type { ModelsFile } from "../../config/config-file.ts";
import type { ModelDeclaration } from "../../config/config-schema.ts";
import { backendName, type BackendSettings } from "../../config/read-backends.ts";
import {
  canonicalEngine,
  type EngineName,
  engineNames,
  localEngine,
  localEngineName,
} from "../../domain/engine-names.ts";
import { aliasAt } from "../../domain/model-aliases.ts";
import { backendPresets } from "../../domain/backend-presets.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import type { FamilyProfile } from "../../domain/family.ts";
import type { ServedModel } from "../../domain/model.ts";
import { nearest } from "../../domain/nearest.ts";
import type { ConversationDriver, Engines } from "../../engine/Engines.ts";
import { resolveDefaults } from "../../prompt/effective-parameters.ts";
import { declaredDefaults, declaredProfile, type ModelPolicy, policyOf } from "./declared-model.ts";
import { detectFamily, overriddenProfile } from "./families.ts";
import { serverBytes } from "./server-bytes.ts";

export type ConversationDrivers = Engines["Service"]["conversations"];

export interface ConversationEntry {
  readonly takes: "conversations";
  readonly facts: ServedModel;
  readonly profile: FamilyProfile;
  readonly policy: ModelPolicy;
  readonly backend: BackendSettings;
  /** The task options that it supports, as far as the configuration tells. */
  readonly options: ReadonlySet<ConversationOption>;
  /** The id of the model in the model folder whose tokenizer counts its prompts; undefined if they are estimated. */
  readonly tokenizer: string | undefined;
  /** What its server is expected to take of the memory budget; undefined where others start it. */
  readonly memoryBytes: number | undefined;
}

type Invalid = (key: ReadonlyArray<string>, problem: string) => Error;

/** The backend that serves it; undefined for a model in the local folder. Throws ConfigurationInvalid. */
export const declaredBackend = (
  file: ModelsFile,
  id: string,
  { engine: named, backend: name }: ModelDeclaration,
  drivers: ConversationDrivers,
): BackendSettings | undefined => {
  const invalid: Invalid = (key, problem) => file.invalid(["models", id, ...key], problem);
  const engine = named === undefined ? undefined : knownEngine(named, drivers, invalid);
  if (name === undefined) {
    if (engine === undefined || engine === localEngineName) return undefined;
    const own = file.backends.get(engine);
    if (own !== undefined) return own;
    throw invalid(["engine"], `no server of ${engine} is known: backend names one`);
  }
  const backend = file.backends.get(backendName(name));
  if (backend === undefined) {
    throw invalid(["backend"], `there is no backend "${name}"; there are ${[...file.backends.keys()].join(", ")}`);
  }
  if (engine !== undefined && engine !== backend.engine) {
    throw invalid(["engine"], `the backend "${backend.name}" is of ${backend.engine}: leave this out`);
  }
  return backend;
};

const knownEngine = (name: string, drivers: ConversationDrivers, invalid: Invalid): EngineName => {
  const engine = canonicalEngine(name);
  if (engine === localEngineName) return engine;
  const there = [localEngine, ...Object.keys(drivers)];
  if (engine === undefined) {
    const [best] = nearest(name, [localEngine, ...engineNames]);
    throw invalid(["engine"], `there is no engine "${name}"${best === undefined ? "" : `; ${best}?`}`);
  }
  if (there.includes(engine)) return engine;
  throw invalid(["engine"], `this service does not run models on ${engine}; there is ${there.join(", ")}`);
};

/** Throws ConfigurationInvalid. */
export const readConversationModel = (
  file: ModelsFile,
  id: string,
  declaration: ModelDeclaration,
  backend: BackendSettings,
  drivers: ConversationDrivers,
): ConversationEntry => {
  const { engine } = backend;
  const invalid: Invalid = (key, problem) => file.invalid(["models", id, ...key], problem);
  for (const key of ofFiles) {
    if (declaration[key] !== undefined)
      throw invalid([key], `its model runs on ${engine}, which has its files: leave it out`);
  }
  // What is written stays as it is: a server may have a model of a short name.
  const { model = aliasAt(engine, id) ?? id, context_length: contextLength } = declaration;
  if (contextLength === undefined) {
    throw invalid(["context_length"], `is missing: how many tokens a model of ${engine} reads is not known here`);
  }
  const { memory_bytes: declaredBytes } = declaration;
  if (declaredBytes !== undefined && backend.managed === undefined) {
    throw invalid(["memory_bytes"], `mlxd does not start the server of "${backend.name}", whose memory does not count`);
  }
  const driver = drivers[engine];
  if (driver === undefined) throw invalid(["engine"], `this service does not run models on ${engine}`);
  const family = declaration.family ?? [id, model].map(detectFamily).find((each) => each !== "unknown") ?? "unknown";
  const profile = overriddenProfile(family, declaredProfile(file, family));
  if (declaration.vision === true && !driver.options.has("chat.images")) {
    throw invalid(["vision"], `${engine} takes no images`);
  }
  const vision =
    driver.options.has("chat.images") && (declaration.vision ?? (driver.images === "most" || profile.supportsVision));
  const { stopSequences } = declaredDefaults(declaration);
  const defaults = resolveDefaults(declaredDefaults(declaration), profile);
  return {
    takes: "conversations",
    facts: {
      id,
      aliases: declaration.aliases ?? [],
      source: model,
      revision: `${backend.name}:${model}`,
      family,
      contextLength,
      defaults: driver.endsTurns === true ? { ...defaults, stopSequences: stopSequences ?? [] } : defaults,
      capabilities: { ...driver.capabilities, vision },
      engine,
    },
    profile,
    backend,
    tokenizer: declaration.tokenizer,
    options: optionsOf(driver, backend, vision || (driver.images === "told" && declaration.vision !== false)),
    memoryBytes: backend.managed && (declaredBytes ?? serverBytes(resolve(backend.managed.directory, model))),
    policy: policyOf(declaration, []),
  };
};

const optionsOf = (
  { options }: Pick<ConversationDriver, "options">,
  { engine, baseUrl }: BackendSettings,
  mayTakeImages: boolean,
): ReadonlySet<ConversationOption> => {
  // Elsewhere it is a server of the operator's own.
  const isProvider = baseUrl === backendPresets[engine].baseUrl;
  return new Set(
    [...options].filter(
      (option) =>
        (option !== "chat.images" || mayTakeImages) && (option !== "chat.image_urls" || (mayTakeImages && isProvider)),
    ),
  );
};

/** Keys that only apply to models with local files. */
const ofFiles = ["path", "repository", "revision", "draft", "adapters"] as const;
