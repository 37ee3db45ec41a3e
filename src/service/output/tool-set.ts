/** The tools that a task offers, as calls of them are checked. */
import { type Schema, Validator } from "@cfworker/json-schema";

import type { OutputWarning, Tool } from "../domain/generation.ts";
import { isJson } from "./json-text.ts";
import { withoutPatterns } from "./without-patterns.ts";

export interface ToolSet {
  readonly names: ReadonlyArray<string>;
  /** What keeps the call from being one; undefined when it can be made as it stands. */
  readonly problem: (name: string, argumentsText: string) => OutputWarning | undefined;
}

/** Schemas that cannot be used have been refused before: see `schemaProblem`. */
export const createToolSet = (tools: ReadonlyArray<Tool>): ToolSet => {
  const validators = new Map(tools.map(({ name, parameters }) => [name, createValidator(parameters)]));
  return {
    names: [...validators.keys()],
    problem: (name, argumentsText) => {
      const validate = validators.get(name);
      if (validate === undefined) {
        return { kind: "unknown-tool", message: `the model called "${shorten(name)}", which is none of the tools` };
      }
      if (!isJson(argumentsText)) {
        return { kind: "malformed-tool-call", message: `the arguments of the call of "${name}" are no JSON` };
      }
      const misfit = validate(JSON.parse(argumentsText));
      return misfit === undefined
        ? undefined
        : {
            kind: "invalid-arguments",
            message: `the arguments of the call of "${name}" do not fit its schema: ${shorten(misfit)}`,
          };
    },
  };
};

/** Why the schema cannot be used, in one sentence; undefined when it can. */
export const schemaProblem = (schema: Tool["parameters"]): string | undefined => {
  try {
    createValidator(schema)({});
    return undefined;
  } catch (error) {
    return shorten(error instanceof RangeError ? "it refers to itself without end" : messageOf(error));
  }
};

type Validate = (value: unknown) => string | undefined;

/** Tools without a schema take any object. */
const createValidator = (schema: Tool["parameters"]): Validate => {
  const validator = new Validator(withoutPatterns(schema ?? {}) as Schema, "2020-12");
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return "they are no object";
    const { valid, errors } = validator.validate(value);
    const innermost = errors.at(-1);
    return valid
      ? undefined
      : innermost === undefined
        ? "no reason given"
        : `${innermost.instanceLocation}: ${innermost.error}`;
  };
};

const messageOf = (error: unknown) => (error instanceof Error ? error.message : "it cannot be read");

/** Keeps what a model or a library wrote within what a message can carry. */
const shorten = (text: string) => [...text].slice(0, 200).join("");
