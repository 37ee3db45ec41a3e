/** Reads the values of JSON Schema keywords, checking their types. */
import { GrammarRefused } from "./expressions.ts";

/** Two keywords that bound a count. */
export const boundsOf = (
  min: unknown,
  max: unknown,
  where: string,
  names: readonly [string, string],
): readonly [min: number, max: number | undefined] => {
  for (const [index, value] of [min, max].entries()) {
    const isCount = value === undefined || (Number.isInteger(value) && Number(value) >= 0);
    if (!isCount) throw new GrammarRefused("it is no count", `${where}/${names[index]}`);
  }
  const [from, to] = [Number(min ?? 0), max === undefined ? undefined : Number(max)];
  if (to !== undefined && to < from) throw new GrammarRefused(`it is below ${names[0]}`, `${where}/${names[1]}`);
  return [from, to];
};

/** A keyword whose value is a list. */
export const listOf = (value: unknown, where: string, mayBeEmpty = false): ReadonlyArray<unknown> => {
  if (!Array.isArray(value)) throw new GrammarRefused("it is no array", where);
  if (value.length === 0 && !mayBeEmpty) throw new GrammarRefused("it is empty", where);
  return value as ReadonlyArray<unknown>;
};
