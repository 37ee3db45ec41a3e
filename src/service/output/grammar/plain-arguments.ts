/**
 * Arguments of notations that write each separately: strings as plain text up to a closing tag, other values as JSON.
 */
import type { GrammarExpression } from "../../domain/grammar.ts";
import { chars, choice, except, GrammarRefused, oneOf, repeat, rule, sequence, text } from "./expressions.ts";
import type { SchemaGrammar } from "./json-schema.ts";
import { present } from "../../domain/present.ts";
import { isObject, type JsonObject } from "../json-object.ts";

export interface PlainArgument {
  readonly name: string;
  readonly isRequired: boolean;
  readonly value: GrammarExpression;
}

/** The rule for plain text; a grammar with plain arguments has to define it. */
export const plainTextRule = "plain-text";

/** In the order of `properties`. Throws GrammarRefused. */
export const plainArguments = (
  schema: JsonObject,
  schemas: SchemaGrammar,
  closing: string,
): ReadonlyArray<PlainArgument> => {
  const { properties = {}, required = [], $defs, definitions, ...rest } = schema;
  const other = Object.keys(rest).find((keyword) => structural.has(keyword));
  if (other !== undefined) throw new GrammarRefused("the model's notation has no form for it", `#/${other}`);
  const names: ReadonlyArray<unknown> = Array.isArray(required) ? required : [];
  const known = isObject(properties) ? Object.entries(properties) : [];
  const missing = names.find((name) => !known.some(([each]) => each === name));
  if (missing !== undefined) {
    throw new GrammarRefused(`${JSON.stringify(missing)} is required and no property`, "#/required");
  }
  return known
    .filter(([name, of]) => of !== false || names.includes(name))
    .map(([name, of]) => {
      const where = `#/properties/${name}`;
      if (/[<>\n]/.test(name)) throw new GrammarRefused("the model's notation cannot write this name", where);
      // Keeps the definitions, so that references still resolve.
      const whole = isObject(of) ? { ...of, ...present({ $defs, definitions }) } : of;
      return { name, isRequired: names.includes(name), value: valueOf(whole, schemas, closing, where) };
    });
};

/**
 * Any text without the closing tag: characters that do not begin the tag, and prefixes of the tag that are followed by
 * a different character.
 */
export const plainText = (closing: string): GrammarExpression => {
  const beginnings = Array.from({ length: closing.length - 1 }, (_, index) => closing.slice(0, index + 1));
  const [first = ""] = closing;
  const restart = choice(...beginnings.map(text));
  const broken = choice(
    ...beginnings.map((beginning) =>
      sequence(text(beginning), chars(except(oneOf(first + (closing[beginning.length] ?? ""))))),
    ),
  );
  return repeat(choice(chars(except(oneOf(first))), sequence(repeat(restart, 0), broken)), 0);
};

const valueOf = (schema: unknown, schemas: SchemaGrammar, closing: string, where: string): GrammarExpression => {
  if (!isObject(schema) || schema["type"] !== "string") return schemas.add(schema);
  const bound = textBounds.find((keyword) => keyword in schema);
  if (bound !== undefined) {
    throw new GrammarRefused(
      "the model's notation writes texts without quotes, which it cannot hold",
      `${where}/${bound}`,
    );
  }
  const { enum: values, const: constant } = schema;
  const allowed = constant === undefined ? values : [constant];
  if (!Array.isArray(allowed)) return rule(plainTextRule);
  const texts = allowed.filter((each): each is string => typeof each === "string" && !each.includes(closing));
  if (texts.length === 0) throw new GrammarRefused("none of its values fits", `${where}/enum`);
  return choice(...texts.map(text));
};

const textBounds = ["minLength", "maxLength", "pattern", "format"];

/** Keywords beside `properties` that cannot be expressed in this notation. */
const structural = new Set([
  "$ref",
  "allOf",
  "anyOf",
  "oneOf",
  "not",
  "if",
  "enum",
  "const",
  "minProperties",
  "maxProperties",
]);
