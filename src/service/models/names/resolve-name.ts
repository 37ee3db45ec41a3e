/** Which model a caller's name means. */
import { Result } from "effect";

import { canonicalEngine, splitEnginePrefix } from "../../domain/engine-names.ts";
import { ModelNotFound, type NotAllowed, UnknownBackend } from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { nearestOf } from "../../domain/nearest.ts";

interface Named extends Pick<ModelFacts, "id" | "aliases" | "source"> {
  readonly engine: string;
  /** Engines that models of its family are best run on, the best first. */
  readonly preferredEngines?: ReadonlyArray<string>;
}

/** No model goes by the name, or the caller may not use the one that does. */
export type NameFailure = ModelNotFound | UnknownBackend | NotAllowed;

/**
 * In this order: id, alias, repository path. Then, where the name begins with an engine as in `mlx:demo`, what follows
 * among that engine's models alone: never another engine's model instead. Where a name is several models' alias or
 * repository path, and names no engine, it is that on the engine which its family prefers, in the catalog's order among
 * equals: a first choice that the caller left open, and never a second one. Blank space around the name does not count.
 */
export const resolveName = <M extends Named>(
  models: ReadonlyArray<M>,
  asked: string,
): Result.Result<M, NameFailure> => {
  const name = asked.trim();
  const found = findNamed(models, name);
  if (found !== undefined) return Result.succeed(found);
  const prefixed = splitEnginePrefix(name);
  if (prefixed === undefined) return Result.fail(notFound(models, name, name));
  const candidates = models.filter(({ engine }) => canonicalEngine(engine) === prefixed.engine);
  if (candidates.length === 0) {
    const known = [...new Set(models.map(({ engine }) => engine))];
    return Result.fail(new UnknownBackend({ backend: prefixed.engine, known }));
  }
  const model = findNamed(candidates, prefixed.model);
  return model === undefined ? Result.fail(notFound(candidates, name, prefixed.model)) : Result.succeed(model);
};

/** Ids and aliases in any case, of several that differ in case only the exact one; repository paths exactly. */
const findNamed = <M extends Named>(models: ReadonlyArray<M>, name: string): M | undefined => {
  const lower = name.toLowerCase();
  return (
    models.find(({ id }) => id === name) ??
    models.find(({ id }) => id.toLowerCase() === lower) ??
    preferred(models.filter(({ aliases }) => aliases.some((alias) => alias.toLowerCase() === lower))) ??
    preferred(models.filter(({ source }) => source === name && source !== ""))
  );
};

const preferred = <M extends Named>(models: ReadonlyArray<M>): M | undefined =>
  models.toSorted((a, b) => preferenceOf(a) - preferenceOf(b))[0];

/** An engine that is not preferred comes after all that are. */
const preferenceOf = ({ engine, preferredEngines = [] }: Named): number => {
  const name = canonicalEngine(engine);
  const place = preferredEngines.findIndex((each) => canonicalEngine(each) === name);
  return place < 0 ? preferredEngines.length : place;
};

const notFound = (models: ReadonlyArray<Named>, asked: string, name: string): ModelNotFound =>
  new ModelNotFound({ model: asked, nearest: nearestNames(models, name) });

/** Ids that the caller may have meant, nearest first: three at most. */
export const nearestNames = (models: ReadonlyArray<Omit<Named, "engine">>, name: string): ReadonlyArray<string> =>
  nearestOf(name, models, ({ id, aliases, source }) => [id, source, ...aliases]).map(({ id }) => id);
