/** Validates with a JSON Schema. It is a module of its own, so that it is only loaded if one is used. */
import { Validator } from "@cfworker/json-schema";
import type { JsonSchema } from "../messages.ts";
import type { StandardIssue } from "./standard-schema.ts";

/** Where a value does not match a JSON Schema. */
export const jsonIssues = (schema: JsonSchema, value: unknown): readonly StandardIssue[] => {
  const { errors } = new Validator(schema, "2020-12", false).validate(value);
  // Each error is repeated for every enclosing schema; only the innermost one says what is wrong.
  const places = errors.map(({ instanceLocation }) => pathOf(instanceLocation));
  const isDeepest = (path: readonly string[]) =>
    !places.some((other) => other.length > path.length && path.every((key, at) => other[at] === key));
  return errors.flatMap(({ error }, index) => {
    const path = places[index] ?? [];
    return isDeepest(path) ? [{ path, message: error.replace(/\.$/, "") }] : [];
  });
};

/** The path of a JSON pointer in a fragment, e.g. `#/items/0`. */
const pathOf = (location: string): readonly string[] =>
  location
    .split("/")
    .slice(1)
    .map((key) => decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~"));
