/** Whether a value of an `enum` or `const` fits what stands beside it. */
import { Validator } from "@cfworker/json-schema";

import { GrammarRefused } from "./expressions.ts";

export const fits = (value: unknown, schema: Readonly<Record<string, unknown>>, where: string): boolean => {
  const beside = Object.keys(schema).find((keyword) => structural.has(keyword));
  if (beside !== undefined) throw new GrammarRefused("it is not supported beside enum or const", `${where}/${beside}`);
  return new Validator(schema, "2020-12").validate(value).valid;
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
