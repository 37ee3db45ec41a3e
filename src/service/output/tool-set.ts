/** The tools that a task offers, for the validation of calls. */
import type { Tool } from "../domain/conversation.ts";
import type { OutputWarning } from "../domain/generation-result.ts";
import { isJson, JsonTracker } from "./json-text.ts";
import { createValidator, TooMuchWork, type Validate } from "./tool-schema/validate.ts";

export interface ToolSet {
  readonly names: ReadonlyArray<string>;
  readonly parametersOf: (name: string) => Tool["parameters"];
  /** Why the call is invalid; undefined if it is valid. */
  readonly problem: (name: string, argumentsText: string) => OutputWarning | undefined;
}

/** Unusable schemas were refused before, by `toolProblems`. */
export const createToolSet = (tools: ReadonlyArray<Tool>): ToolSet => {
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  const validators = new Map<string, Validate>();
  const validatorOf = ({ name, parameters }: Tool): Validate => {
    const validate = validators.get(name) ?? createValidator(parameters ?? {});
    validators.set(name, validate);
    return validate;
  };
  return {
    names: [...byName.keys()],
    parametersOf: (name) => byName.get(name)?.parameters,
    problem: (name, argumentsText) => {
      const tool = byName.get(name);
      if (tool === undefined) {
        return { kind: "unknown-tool", message: `the model called "${shorten(name)}", which is none of the tools` };
      }
      if (!isJson(argumentsText)) {
        return { kind: "malformed-tool-call", message: `the arguments of the call of "${name}" are no JSON` };
      }
      if (nestsTooDeep(argumentsText)) {
        const message = `the arguments of the call of "${name}" are nested more than ${deepestArguments} deep`;
        return { kind: "malformed-tool-call", message };
      }
      const misfit = misfitOf(validatorOf(tool), argumentsText);
      if (misfit === undefined) return undefined;
      const message = `the arguments of the call of "${name}" do not fit its schema: ${shorten(misfit)}`;
      return { kind: "invalid-arguments", message };
    },
  };
};

const misfitOf = (validate: Validate, argumentsText: string): string | undefined => {
  const value: unknown = JSON.parse(argumentsText);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "they are no object";
  try {
    return validate(value);
  } catch (cause) {
    if (cause instanceof TooMuchWork) return cause.message;
    throw cause;
  }
};

/** Deeper arguments could exhaust the stack of their readers and of the protocol libraries. */
const deepestArguments = 128;

const nestsTooDeep = (json: string): boolean => {
  const tracker = new JsonTracker();
  for (let at = 0; at < json.length; at++) {
    tracker.next(json[at] ?? "");
    if (tracker.depth > deepestArguments) return true;
  }
  return false;
};

/** Limits text from a model or a schema to what fits in a message. */
const shorten = (text: string) => Array.from(text).slice(0, 200).join("");
