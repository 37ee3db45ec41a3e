/** Suggests names for a misspelled one. */

/** Up to three known names that are close to the given one, nearest first. Ignores case. */
export const nearest = (asked: string, known: ReadonlyArray<string>): ReadonlyArray<string> =>
  nearestOf(asked, known, (name) => [name]);

/** The same for things with several names each: the nearest of a thing's names counts. */
export const nearestOf = <A>(
  asked: string,
  known: ReadonlyArray<A>,
  namesOf: (one: A) => ReadonlyArray<string>,
): ReadonlyArray<A> =>
  known
    .map((one) => ({ one, distance: Math.min(...namesOf(one).map((name) => slipDistance(asked, name))) }))
    .filter(({ distance }) => distance <= Math.max(2, asked.length / 3))
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ one }) => one);

/**
 * The number of letters to insert, delete or replace. A known name that contains the asked one has distance 1.
 */
const slipDistance = (asked: string, known: string): number => {
  const [from, to] = [asked.toLowerCase(), known.toLowerCase()];
  return from !== "" && to.includes(from) && from !== to ? 1 : editDistance(from, to);
};

/** Levenshtein distance. */
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
