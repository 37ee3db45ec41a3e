/** Selects the values of an `enum` or `const` that satisfy the other keywords of the schema. */
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
  // If both are present, both have to hold.
  const keywords = "const" in schema ? beside : beside.filter((keyword) => keyword !== "enum");
  const hard = keywords.find((keyword) => structural.has(keyword));
  if (hard !== undefined) throw new GrammarRefused("it is not supported beside enum or const", `${where}/${hard}`);
  if (keywords.length === 0) return values;
  budget.spend(values.length * keywords.length, where);
  const validator = new Validator(Object.fromEntries(keywords.map((keyword) => [keyword, schema[keyword]])), "2020-12");
  return values.filter((value) => validator.validate(value).valid);
};

/** Keywords that contain schemas, or regular expressions whose time is unbounded. */
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
