/** Assigns models' names: declared ones, and short forms unless another model has them. */
import type { ConfigurationInvalid } from "../../domain/errors.ts";

export interface NamedModel {
  readonly id: string;
  /** As declared. */
  readonly aliases: ReadonlyArray<string>;
  /** Repository id or folder name. */
  readonly source: string;
  /** The name of the folder. */
  readonly folder: string;
  /** Makes the error for its id, or for the alias with this index. */
  readonly invalid: (index: number | undefined, problem: string) => ConfigurationInvalid;
}

/**
 * @returns the aliases of each model, declared ones first. Throws ConfigurationInvalid if two models would have the
 *   same name, ignoring case except between ids.
 */
export const assignAliases = (models: ReadonlyArray<NamedModel>): ReadonlyArray<ReadonlyArray<string>> => {
  const owners = new Map<string, NamedModel>();
  const ids = new Set<string>();
  for (const model of models) {
    if (ids.has(model.id)) throw model.invalid(undefined, `the model folder has another model "${model.id}"`);
    ids.add(model.id);
    owners.set(model.id.toLowerCase(), model);
  }
  for (const model of models) {
    for (const [index, alias] of model.aliases.entries()) {
      const lower = alias.toLowerCase();
      const owner =
        owners.get(lower) ?? models.find(({ id, source }) => source.toLowerCase() === lower && id !== model.id);
      if (owner === model) throw model.invalid(index, `"${alias}" is a name of this model already`);
      if (owner !== undefined) throw model.invalid(index, `"${alias}" is a name of model "${owner.id}" already`);
      owners.set(lower, model);
    }
  }
  const wishes = models.map((model) => implicitNames(model).filter((name) => !owners.has(name.toLowerCase())));
  const counts = new Map<string, number>();
  for (const names of wishes) {
    for (const name of new Set(names.map((each) => each.toLowerCase()))) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return models.map(({ aliases }, index) => [
    ...aliases,
    ...(wishes[index] ?? []).filter((name) => counts.get(name.toLowerCase()) === 1),
  ]);
};

/** `org--Name-4bit` is also `Name-4bit` and `Name`; a model with another id keeps its folder's name as an alias. */
const implicitNames = ({ id, folder, source }: NamedModel): ReadonlyArray<string> => {
  const name = source.split("/").at(-1) ?? source;
  const plain = name.replace(/(-mlx)?-(\d+-?bit|bf16|fp16|mxfp4)(-mlx)?$/i, "");
  return [...new Set([folder, name, plain])].filter((alias) => alias !== id && alias !== "");
};
