/** Which model a caller's name means. */
import type { ModelFacts } from "../domain/model.ts";

type Named = Pick<ModelFacts, "id" | "aliases" | "source">;

/** By id or repository path exactly, or by id or alias in any case. Of several that differ in case only, the exact one. */
export const resolveName = <M extends Named>(models: ReadonlyArray<M>, name: string): M | undefined => {
  const lower = name.toLowerCase();
  return (
    models.find(({ id }) => id === name) ??
    models.find(({ source }) => source === name) ??
    models.find(({ id, aliases }) => [id, ...aliases].some((known) => known.toLowerCase() === lower))
  );
};

/** Ids that the caller may have meant, nearest first: three at most. */
export const nearestNames = (models: ReadonlyArray<Named>, name: string): ReadonlyArray<string> => {
  const lower = name.toLowerCase();
  return models
    .map(({ id, aliases, source }) => {
      const distances = [id, source, ...aliases].map((known) => distanceOf(lower, known.toLowerCase()));
      return { id, distance: Math.min(...distances) };
    })
    .filter(({ distance }) => distance <= Math.max(2, lower.length / 3))
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ id }) => id);
};

/** A name that is part of the other is as near as one letter's difference. */
const distanceOf = (name: string, known: string): number =>
  name !== "" && known.includes(name) ? 1 : editDistance(name, known);

/** Levenshtein's: letters to insert, drop or change. */
const editDistance = (from: string, to: string): number => {
  const row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [at, letter] of [...from].entries()) {
    let diagonal = at;
    row[0] = at + 1;
    for (let column = 1; column <= to.length; column++) {
      const above = row[column] ?? 0;
      const changed = diagonal + (to[column - 1] === letter ? 0 : 1);
      row[column] = Math.min(changed, above + 1, (row[column - 1] ?? 0) + 1);
      diagonal = above;
    }
  }
  return row[to.length] ?? 0;
};
