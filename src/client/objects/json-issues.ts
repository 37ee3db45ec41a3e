/** Validates by a JSON Schema: a module of its own, with nothing of the client in it, which is loaded by callers that use one. */
import { Validator } from "@cfworker/json-schema";
import type { JsonSchema } from "../messages.ts";
import type { StandardIssue } from "./standard-schema.ts";

/** What of a value does not fit a JSON Schema, the deepest place first. */
export const jsonIssues = (schema: JsonSchema, value: unknown): readonly StandardIssue[] => {
  const { errors } = new Validator(schema, "2020-12", false).validate(value);
  // Each error comes again for every schema around it; what is deepest says what is wrong.
  const places = errors.map(({ instanceLocation }) => pathOf(instanceLocation));
  const isDeepest = (path: readonly string[]) =>
    !places.some((other) => other.length > path.length && path.every((key, at) => other[at] === key));
  return errors.flatMap(({ error }, index) => {
    const path = places[index] ?? [];
    return isDeepest(path) ? [{ path, message: error.replace(/\.$/, "") }] : [];
  });
};

/** Of a JSON pointer in a fragment: `#/items/0`. */
const pathOf = (location: string): readonly string[] =>
  location
    .split("/")
    .slice(1)
    .map((key) => decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~"));
