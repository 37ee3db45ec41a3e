/** Combines what a checkpoint folder and the configuration say about a model. */
import type { Checkpoint } from "../../checkpoint/read-checkpoint.ts";
import type { Family, FamilyProfile } from "../../domain/family.ts";
import type { ModelDefaults, ModelFacts } from "../../domain/model.ts";
import { resolveDefaults } from "../../prompt/effective-parameters.ts";
import { detectFamilyOf, familyProfile } from "./families.ts";

/**
 * Without the names, which depend on the folder and its neighbours, and without the adapters, which may be in another
 * folder.
 */
export type CheckpointFacts = Omit<ModelFacts, "id" | "aliases" | "source" | "adapters"> & { readonly family: Family };

/** Settings from the configuration, which take precedence over the folder's. */
export interface FactsOverrides {
  readonly family?: Family | undefined;
  readonly defaults?: Partial<ModelDefaults> | undefined;
  /** The profile of each family; the built-in table unless the configuration overrides it. */
  readonly profileOf?: ((family: Family) => FamilyProfile) | undefined;
}

/** @param name the model's name, which says more about its family than `model_type` does */
export const factsOf = (
  { familyNames, defaults, ...checkpoint }: Omit<Checkpoint, "notes">,
  name: string,
  overrides: FactsOverrides = {},
): CheckpointFacts => {
  const family = overrides.family ?? detectFamilyOf([name, ...familyNames]);
  const profile = (overrides.profileOf ?? familyProfile)(family);
  return { ...checkpoint, family, defaults: resolveDefaults({ ...defaults, ...overrides.defaults }, profile) };
};
