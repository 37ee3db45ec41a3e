/**
 * JSON in the answer of a model that nothing constrained: found in fences and amid other text, and checked. What a schema says
 * with regular expressions is not checked, so a schema that has them is refused.
 */
import type { OutputConstraint } from "../domain/generation-task.ts";
import { isObject, type JsonObject } from "./json-object.ts";
import { isJson, JsonTracker, valueEnd } from "./json-text.ts";
import { checkSchema } from "./tool-schema/check-schema.ts";
import { createValidator, TooMuchWork, type Validate } from "./tool-schema/validate.ts";

export type JsonConstraint = Extract<OutputConstraint, { readonly type: "json-object" | "json-schema" }>;

export const isJsonConstraint = (constraint: OutputConstraint | undefined): constraint is JsonConstraint =>
  constraint?.type === "json-object" || constraint?.type === "json-schema";

/** The JSON as the model wrote it, or why the answer has none that is wanted. */
type JsonFinding = { readonly json: string } | { readonly problem: string };

export type JsonCheck = (answer: string) => JsonFinding;

/** A check of answers, or why there can be none. */
export const createJsonCheck = (constraint: JsonConstraint): JsonCheck | { readonly refused: string } => {
  if (constraint.type === "json-object") return checkBy(isAnObject);
  const { schema: text } = constraint;
  if (text.length > mostCharacters) return { refused: `it is longer than ${mostCharacters} characters` };
  if (!isJson(text)) return { refused: "it is no JSON" };
  const schema: unknown = JSON.parse(text);
  if (!isObject(schema)) return { refused: "it is to be a JSON object" };
  const problem = checkSchema(schema, "anything");
  if (problem !== undefined) return { refused: `${problem.where} ${problem.reason}` };
  const pattern = patternIn(schema);
  if (pattern !== undefined) {
    return { refused: `"${pattern}" cannot be checked on a model of another server: leave it out` };
  }
  return checkBy(createValidator(schema));
};

/** Far more than is asked for; all of it is read on the service's thread. */
const mostCharacters = 1024 ** 2;
const deepest = 128;
/** Beginnings of values that are tried amid other text. */
const mostTries = 16;
/** Characters that are read to find where these values end. */
const mostScanned = 2 * mostCharacters;

const isAnObject: Validate = (value) => (isObject(value) ? undefined : "#: it is no object");

const checkBy =
  (validate: Validate): JsonCheck =>
  (answer) => {
    if (answer.length > mostCharacters) return { problem: `it is longer than ${mostCharacters} characters` };
    let problem: string | undefined;
    try {
      for (const json of candidates(answer)) {
        if (!isJson(json)) continue;
        const misfit = misfitOf(validate, json);
        if (misfit === undefined) return { json };
        problem ??= misfit;
      }
    } catch (cause) {
      // The others could take as long.
      if (cause instanceof TooMuchWork) return { problem: cause.message };
      throw cause;
    }
    return { problem: problem ?? "it holds no JSON" };
  };

/** The whole, the content of each fence, then the values that begin with a bracket. */
function* candidates(answer: string): Generator<string> {
  const whole = answer.trim();
  yield whole;
  let tries = 0;
  for (const [, fenced = ""] of answer.matchAll(/^[ \t]*```[^\n`]*\n([\s\S]*?)^[ \t]*```/gm)) {
    if ((tries += 1) > mostTries) return;
    yield fenced.trim();
  }
  const brackets = /[{[]/g;
  let scanned = 0;
  for (tries = 0; tries < mostTries && scanned < mostScanned; tries++) {
    const found = brackets.exec(answer);
    if (found === null) return;
    const value = answer.slice(found.index, valueEnd(answer, found.index));
    scanned += value.length;
    // What is no value may have one inside of it.
    if (isJson(value)) brackets.lastIndex = found.index + value.length;
    if (value !== whole) yield value;
  }
}

/** Throws TooMuchWork. */
const misfitOf = (validate: Validate, json: string): string | undefined => {
  const tracker = new JsonTracker();
  for (const unit of json) {
    tracker.next(unit);
    if (tracker.depth > deepest) return `it is nested more than ${deepest} deep`;
  }
  return validate(JSON.parse(json));
};

const patternIn = (schema: JsonObject): string | undefined => {
  const open: unknown[] = [schema];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    if (Array.isArray(each)) open.push(...(each as ReadonlyArray<unknown>));
    if (!isObject(each)) continue;
    for (const keyword of ["pattern", "patternProperties"]) {
      // A property of that name has a schema, which is no text.
      const value = each[keyword];
      if (typeof value === "string" || (keyword === "patternProperties" && isObject(value))) return keyword;
    }
    open.push(...Object.values(each));
  }
  return undefined;
};
