/**
 * Whether values are nested more than this many levels deep in a JSON value. What serialises or checks one is recursive; whether
 * Node's own `JSON.stringify` is depends on its version.
 */
export const nestsDeeper = (value: unknown, most: number): boolean => {
  let level: ReadonlyArray<unknown> = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return true;
    level = level.flatMap((each): ReadonlyArray<unknown> => {
      return typeof each === "object" && each !== null ? Object.values(each) : [];
    });
  }
  return false;
};
