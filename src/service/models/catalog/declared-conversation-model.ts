/** A model of mlxd.yaml whose engine takes conversations: all that is known of it here is what the file and the driver say. */
import type { ModelsFile } from "../../config/config-file.ts";
import type { ModelDeclaration } from "../../config/config-schema.ts";
import {
  canonicalEngine,
  type EngineName,
  engineNames,
  localEngine,
  localEngineName,
} from "../../domain/engine-names.ts";
import type { FamilyProfile } from "../../domain/family.ts";
import type { ServedModel } from "../../domain/model.ts";
import { nearest } from "../../domain/nearest.ts";
import type { Engines } from "../../engine/Engine.ts";
import { resolveDefaults } from "../../prompt/effective-parameters.ts";
import { declaredDefaults, declaredProfile, type ModelPolicy, policyOf } from "./declared-model.ts";
import { detectFamily, overriddenProfile } from "./families.ts";

export type ConversationDrivers = Engines["Service"]["conversations"];

export interface ConversationEntry {
  readonly takes: "conversations";
  readonly facts: ServedModel;
  readonly profile: FamilyProfile;
  readonly policy: ModelPolicy;
}

type Invalid = (key: ReadonlyArray<string>, problem: string) => Error;

/** The canonical name of another engine that it runs on; undefined for one of this machine's folder. Throws ConfigurationInvalid. */
export const declaredEngine = (
  file: ModelsFile,
  id: string,
  { engine: name }: ModelDeclaration,
  drivers: ConversationDrivers,
): EngineName | undefined => {
  if (name === undefined) return undefined;
  const invalid = (problem: string) => file.invalid(["models", id, "engine"], problem);
  const engine = canonicalEngine(name);
  if (engine === localEngineName) return undefined;
  const there = [localEngine, ...Object.keys(drivers)];
  if (engine === undefined) {
    const [best] = nearest(name, [localEngine, ...engineNames]);
    throw invalid(`there is no engine "${name}"${best === undefined ? "" : `; ${best}?`}`);
  }
  if (there.includes(engine)) return engine;
  throw invalid(`this service does not run models on ${engine}; there is ${there.join(", ")}`);
};

/** Throws ConfigurationInvalid. */
export const readConversationModel = (
  file: ModelsFile,
  id: string,
  declaration: ModelDeclaration,
  engine: EngineName,
  drivers: ConversationDrivers,
): ConversationEntry => {
  const invalid: Invalid = (key, problem) => file.invalid(["models", id, ...key], problem);
  for (const key of ofFiles) {
    if (declaration[key] !== undefined)
      throw invalid([key], `its model runs on ${engine}, which has its files: leave it out`);
  }
  const { model = id, context_length: contextLength } = declaration;
  if (contextLength === undefined) {
    throw invalid(["context_length"], `is missing: how many tokens a model of ${engine} reads is not known here`);
  }
  const driver = drivers[engine];
  if (driver === undefined) throw invalid(["engine"], `this service does not run models on ${engine}`);
  const family = declaration.family ?? [id, model].map(detectFamily).find((each) => each !== "unknown") ?? "unknown";
  const profile = overriddenProfile(family, declaredProfile(file, family));
  return {
    takes: "conversations",
    facts: {
      id,
      aliases: declaration.aliases ?? [],
      source: model,
      revision: `${engine}:${model}`,
      family,
      contextLength,
      defaults: resolveDefaults(declaredDefaults(declaration), profile),
      capabilities: driver.capabilities,
      engine,
    },
    profile,
    policy: policyOf(declaration, []),
  };
};

/** Keys that say something of a model's files. */
const ofFiles = ["path", "repository", "revision", "draft", "adapters"] as const;
