/** Which values of an `enum` or `const` fit what stands beside it. */
import { Validator } from "@cfworker/json-schema";

import { GrammarRefused } from "./expressions.ts";
import { isAssertion } from "./keywords.ts";
import type { WorkBudget } from "./work-budget.ts";

export const fitting = (
  values: ReadonlyArray<unknown>,
  schema: Readonly<Record<string, unknown>>,
  where: string,
  budget: WorkBudget,
): ReadonlyArray<unknown> => {
  const beside = Object.keys(schema).filter((keyword) => isAssertion(keyword) && keyword !== "const");
  // Both have to hold where there are both.
  const keywords = "const" in schema ? beside : beside.filter((keyword) => keyword !== "enum");
  const hard = keywords.find((keyword) => structural.has(keyword));
  if (hard !== undefined) throw new GrammarRefused("it is not supported beside enum or const", `${where}/${hard}`);
  if (keywords.length === 0) return values;
  budget.spend(values.length * keywords.length, where);
  const validator = new Validator(Object.fromEntries(keywords.map((keyword) => [keyword, schema[keyword]])), "2020-12");
  return values.filter((value) => validator.validate(value).valid);
};

/** Those that hold schemas, or expressions that could run for ever. */
const structural = new Set([
  "anyOf",
  "oneOf",
  "pattern",
  "format",
  "items",
  "prefixItems",
  "properties",
  "additionalProperties",
]);
