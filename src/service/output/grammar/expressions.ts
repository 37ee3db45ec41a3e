/** Building blocks of grammars. */
import type { CodePointRange, GrammarExpression } from "../../domain/grammar.ts";

/** Why no grammar can be made of the input; `where` is a path in it, or empty. */
export class GrammarRefused extends Error {
  readonly reason: string;
  readonly where: string;

  constructor(reason: string, where = "") {
    super(where === "" ? reason : `${where}: ${reason}`);
    this.reason = reason;
    this.where = where;
  }
}

export const text = (value: string): GrammarExpression => ({ type: "text", text: value });
export const sequence = (...parts: ReadonlyArray<GrammarExpression>): GrammarExpression =>
  parts.length === 1 && parts[0] !== undefined ? parts[0] : { type: "sequence", parts };
export const choice = (...options: ReadonlyArray<GrammarExpression>): GrammarExpression =>
  options.length === 1 && options[0] !== undefined ? options[0] : { type: "choice", options };
export const repeat = (of: GrammarExpression, min: number, max?: number): GrammarExpression => ({
  type: "repeat",
  of,
  min,
  max,
});
export const optional = (of: GrammarExpression): GrammarExpression => repeat(of, 0, 1);
export const rule = (name: string): GrammarExpression => ({ type: "rule", name });
export const nothing: GrammarExpression = text("");

export const chars = (ranges: ReadonlyArray<CodePointRange>): GrammarExpression => ({
  type: "chars",
  ranges: withoutSurrogates(merge(ranges)),
});

/** One of the text's characters. */
export const oneOf = (characters: string): ReadonlyArray<CodePointRange> =>
  Array.from(characters, (character) => {
    const codePoint = character.codePointAt(0) ?? 0;
    return [codePoint, codePoint] as const;
  });

export const lastCodePoint = 0x10_ff_ff;

export const except = (ranges: ReadonlyArray<CodePointRange>): ReadonlyArray<CodePointRange> => {
  const left: CodePointRange[] = [];
  let next = 0;
  for (const [first, last] of merge(ranges)) {
    if (first > next) left.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= lastCodePoint) left.push([next, lastCodePoint]);
  return left;
};

export const intersect = (
  a: ReadonlyArray<CodePointRange>,
  b: ReadonlyArray<CodePointRange>,
): ReadonlyArray<CodePointRange> => except([...except(a), ...except(b)]);

const merge = (ranges: ReadonlyArray<CodePointRange>): ReadonlyArray<CodePointRange> => {
  const merged: [number, number][] = [];
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const previous = merged.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged;
};

const withoutSurrogates = (ranges: ReadonlyArray<CodePointRange>): ReadonlyArray<CodePointRange> =>
  ranges.flatMap(([first, last]): ReadonlyArray<CodePointRange> => {
    const parts: ReadonlyArray<CodePointRange> = [
      [first, Math.min(last, 0xd7ff)],
      [Math.max(first, 0xe000), last],
    ];
    return parts.filter(([from, to]) => from <= to);
  });
