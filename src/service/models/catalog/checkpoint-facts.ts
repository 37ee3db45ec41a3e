/** What a checkpoint folder says of its model, with what the configuration says of it. */
import type { Checkpoint } from "../../checkpoint/read-checkpoint.ts";
import type { Family, FamilyProfile } from "../../domain/family.ts";
import type { ModelDefaults, ModelFacts } from "../../domain/model.ts";
import { resolveDefaults } from "../../prompt/effective-parameters.ts";
import { detectFamilyOf, familyProfile } from "./families.ts";

/** All but the names, which depend on the folder and its neighbours, and the adapters, which may lie elsewhere. */
export type CheckpointFacts = Omit<ModelFacts, "id" | "aliases" | "source" | "adapters"> & { readonly family: Family };

/** What the configuration says of a model, over what its folder does. */
export interface FactsOverrides {
  readonly family?: Family | undefined;
  readonly defaults?: Partial<ModelDefaults> | undefined;
  /** Of each family; the table's unless the configuration says otherwise. */
  readonly profileOf?: ((family: Family) => FamilyProfile) | undefined;
}

/** @param name the model's, which tells its family more than `model_type` does */
export const factsOf = (
  { familyNames, defaults, ...checkpoint }: Omit<Checkpoint, "notes">,
  name: string,
  overrides: FactsOverrides = {},
): CheckpointFacts => {
  const family = overrides.family ?? detectFamilyOf([name, ...familyNames]);
  const profile = (overrides.profileOf ?? familyProfile)(family);
  return { ...checkpoint, family, defaults: resolveDefaults({ ...defaults, ...overrides.defaults }, profile) };
};
