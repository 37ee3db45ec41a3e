/** Resolves the name in a request to a model. */
import { Result } from "effect";

import { canonicalEngine, splitEnginePrefix } from "../../domain/engine-names.ts";
import { ModelNotFound, type NotAllowed, UnknownBackend } from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { nearestOf } from "../../domain/nearest.ts";

interface Named extends Pick<ModelFacts, "id" | "aliases" | "source"> {
  readonly engine: string;
  /** The server that it is on; absent for a model in the model folder. */
  readonly backend?: string | undefined;
  /** The preferred engines of its family, best first. */
  readonly preferredEngines?: ReadonlyArray<string>;
}

/** No model goes by the name, or the caller may not use the one that does. */
export type NameFailure = ModelNotFound | UnknownBackend | NotAllowed;

/**
 * Tries ids, then aliases, then repository paths. If the name begins with an engine or a backend, as in `mlx:demo`, the
 * rest is looked up among its models only, never among those of another one. If an alias or repository path belongs to
 * several models and the name has no engine, the family's preferred engine decides, and the catalog's order among
 * equals. This choice is made once: a failure never leads to another engine. Surrounding blank space is ignored.
 */
export const resolveName = <M extends Named>(
  models: ReadonlyArray<M>,
  asked: string,
): Result.Result<M, NameFailure> => {
  const name = asked.trim();
  const found = findNamed(models, name);
  if (found !== undefined) return Result.succeed(found);
  const ofBackend = splitBackendPrefix(models, name);
  const prefixed = splitEnginePrefix(name) ?? ofBackend;
  if (prefixed === undefined) return Result.fail(notFound(models, name, name));
  const candidates = models.filter(
    ({ engine, backend }) =>
      canonicalEngine(engine) === prefixed.engine || (backend !== undefined && backend === ofBackend?.engine),
  );
  if (candidates.length === 0) {
    const known = [
      ...new Set(models.flatMap(({ engine, backend }) => [engine, ...(backend === undefined ? [] : [backend])])),
    ];
    return Result.fail(new UnknownBackend({ backend: prefixed.engine, known }));
  }
  const model = findNamed(candidates, prefixed.model);
  return model === undefined ? Result.fail(notFound(candidates, name, prefixed.model)) : Result.succeed(model);
};

/** Names of backends have no case, and no colon. */
const splitBackendPrefix = (models: ReadonlyArray<Named>, name: string) => {
  const colon = name.indexOf(":");
  const prefix = name.slice(0, Math.max(0, colon)).trim().toLowerCase();
  return models.some(({ backend }) => backend === prefix)
    ? { engine: prefix, model: name.slice(colon + 1).trim() }
    : undefined;
};

/**
 * Ids and aliases are compared without case, with an exact match taking precedence; repository paths are compared
 * exactly.
 */
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

/** Engines that are not preferred come last. */
const preferenceOf = ({ engine, preferredEngines = [] }: Named): number => {
  const name = canonicalEngine(engine);
  const place = preferredEngines.findIndex((each) => canonicalEngine(each) === name);
  return place < 0 ? preferredEngines.length : place;
};

const notFound = (models: ReadonlyArray<Named>, asked: string, name: string): ModelNotFound =>
  new ModelNotFound({ model: asked, nearest: nearestNames(models, name) });

/** Up to three ids that the caller may have meant, nearest first. */
export const nearestNames = (models: ReadonlyArray<Omit<Named, "engine">>, name: string): ReadonlyArray<string> =>
  nearestOf(name, models, ({ id, aliases, source }) => [id, source, ...aliases]).map(({ id }) => id);
