/** Converts the keywords for strings to grammars of the matching strings. */
import type { GrammarExpression } from "../../domain/grammar.ts";
import type { JsonObject } from "../json-object.ts";
import { GrammarRefused, repeat, rule, sequence, text } from "./expressions.ts";
import { character, withinString } from "./json-text.ts";
import { regexGrammar } from "./regex.ts";
import { boundsOf } from "./schema-values.ts";

export const stringGrammar = (schema: JsonObject, where: string): GrammarExpression => {
  const { minLength, maxLength, pattern, format } = schema;
  const bounded = minLength !== undefined || maxLength !== undefined;
  if (Number(bounded) + Number(pattern !== undefined) + Number(format !== undefined) > 1) {
    const keyword = pattern === undefined ? "format" : "pattern";
    throw new GrammarRefused("it is not supported beside others for strings", `${where}/${keyword}`);
  }
  if (pattern !== undefined) return quoted(stringPattern(pattern, true, `${where}/pattern`));
  if (format !== undefined) {
    const known = typeof format === "string" ? formats[format] : undefined;
    if (known === undefined) {
      const hint = `only these are supported: ${Object.keys(formats).join(", ")}`;
      throw new GrammarRefused(hint, `${where}/format`);
    }
    return quoted(stringPattern(known, false, `${where}/format`));
  }
  if (!bounded) return rule("string");
  const [min, max] = boundsOf(minLength, maxLength, where, ["minLength", "maxLength"]);
  return quoted(repeat(character, min, max));
};

const quoted = (inner: GrammarExpression): GrammarExpression => sequence(text('"'), inner, text('"'));

const stringPattern = (pattern: unknown, partial: boolean, where: string): GrammarExpression => {
  if (typeof pattern !== "string") throw new GrammarRefused("it is no text", where);
  try {
    return withinString(regexGrammar(pattern, { partial }));
  } catch (cause) {
    throw cause instanceof GrammarRefused ? new GrammarRefused(cause.reason, where) : cause;
  }
};

const day = String.raw`\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])`;
const time = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`;

/** Stricter than the formats' definitions, so that every generated text is valid: not every month has a 29th. */
const formats: Readonly<Record<string, string>> = {
  date: day,
  time,
  "date-time": `${day}T${time}`,
  uuid: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
  ipv4: String.raw`(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}`,
};
