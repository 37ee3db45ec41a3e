/**
 * Converts JSON Schemas (draft 2020-12) to grammars of the matching JSON texts. What a grammar cannot express is
 * refused with the name of the keyword, so that an accepted schema is always enforced. Members are written in the order
 * of `properties`. A schema with `properties` that does not mention additional members allows none.
 */
import type { GrammarExpression } from "../../domain/grammar.ts";
import { choice, GrammarRefused, nothing, optional, repeat, rule, sequence, text } from "./expressions.ts";
import { fitting } from "./instance-fits.ts";
import { integerBetween, numberBetween } from "./json-numbers.ts";
import { jsonLiteral, jsonRules } from "./json-text.ts";
import { keysExcept } from "./json-keys.ts";
import { keysInOrder } from "./key-order.ts";
import { assertSupported, isAssertion } from "./keywords.ts";
import { isObject, type JsonObject } from "../json-object.ts";
import { mergeSchemas } from "./schema-merge.ts";
import { SchemaReferences } from "./schema-references.ts";
import { exclude, typesOf } from "./schema-types.ts";
import { boundsOf, listOf } from "./schema-values.ts";
import { stringGrammar } from "./string-schema.ts";
import { WorkBudget } from "./work-budget.ts";

/** The rules of several schemas together. */
export class SchemaGrammar {
  readonly rules: Record<string, GrammarExpression> = { ...jsonRules };
  private prefix = "";
  private readonly referred = new Map<string, string>();
  private count = 0;
  private depth = 0;
  /** Shared by all schemas. */
  private readonly budget = new WorkBudget();
  private references = new SchemaReferences(undefined, this.budget);

  /** @param schema decoded JSON */
  add(schema: unknown): GrammarExpression {
    this.references = new SchemaReferences(schema, this.budget);
    this.prefix = `s${this.count++}`;
    this.referred.clear();
    this.depth = 0;
    return this.expression(schema, "#");
  }

  /**
   * For expressions that are used in several places: a grammar is a tree, so without a rule they would be copied,
   * multiplied with each level of nesting.
   */
  shared(of: GrammarExpression): GrammarExpression {
    if (of.type === "rule" || of.type === "text" || of.type === "chars") return of;
    const name = `${this.prefix}v${this.count++}`;
    this.rules[name] = of;
    return rule(name);
  }

  private expression(schema: unknown, where: string): GrammarExpression {
    if (schema === true) return rule("value");
    if (schema === false) throw new GrammarRefused("false fits nothing", where);
    if (!isObject(schema)) throw new GrammarRefused("a schema is an object or a boolean", where);
    this.depth += 1;
    this.budget.spend(stepsOfASchema + Object.keys(schema).length, where);
    if (this.depth > deepest) throw new GrammarRefused(`schemas are nested more than ${deepest} deep`, where);
    const made = this.ofObject(schema, where);
    this.depth -= 1;
    return made;
  }

  private ofObject(schema: JsonObject, where: string): GrammarExpression {
    for (const [keyword, value] of Object.entries(schema)) assertSupported(keyword, value, where);
    const { $ref, allOf, ...rest } = schema;
    const asserts = Object.keys(rest).some(isAssertion);
    if ($ref !== undefined && !asserts && allOf === undefined) return this.reference($ref, where);
    if ($ref !== undefined || allOf !== undefined) return this.expression(this.references.merged(schema, where), where);
    const values = "const" in schema ? [schema.const] : schema.enum;
    if (values !== undefined) return this.values(values, schema, where);
    if (schema.anyOf !== undefined || schema.oneOf !== undefined) return this.alternatives(rest, where);
    const types = typesOf(schema, where);
    if (types.length === allTypes && !asserts) return rule("value");
    return choice(...types.map((type) => this.typed(type, schema, where)));
  }

  private reference(pointer: unknown, where: string): GrammarExpression {
    const key = String(pointer);
    const known = this.referred.get(key);
    if (known !== undefined) return rule(known);
    const name = `${this.prefix}-${this.referred.size}`;
    this.referred.set(key, name);
    this.rules[name] = this.expression(this.references.resolve(pointer, where), key);
    return rule(name);
  }

  private values(values: unknown, schema: JsonObject, where: string): GrammarExpression {
    const list = listOf(values, `${where}/enum`);
    this.budget.spend(list.length, where);
    const fit = fitting(list, schema, where, this.budget);
    if (fit.length === 0) throw new GrammarRefused("none of its values fits", where);
    if (fit.some(losesDigits)) {
      const hint = "a whole number over 2^53 - 1 loses digits when it is read; write it as a string";
      throw new GrammarRefused(hint, `${where}/${"const" in schema ? "const" : "enum"}`);
    }
    return choice(...fit.map(jsonLiteral));
  }

  /** Each alternative is combined with the keywords beside it. */
  private alternatives({ anyOf, oneOf, ...rest }: JsonObject, where: string): GrammarExpression {
    if (anyOf !== undefined && oneOf !== undefined) {
      throw new GrammarRefused("it is not supported beside anyOf", `${where}/oneOf`);
    }
    const keyword = anyOf === undefined ? "oneOf" : "anyOf";
    const given = listOf(anyOf ?? oneOf, `${where}/${keyword}`);
    const members = given.map((member, index) => this.references.merged(member, `${where}/${keyword}/${index}`));
    if (keyword === "oneOf" && !exclude(members, `${where}/oneOf`, this.budget)) {
      const hint = "its schemas must have different types, or a required member whose values differ; else use anyOf";
      throw new GrammarRefused(hint, `${where}/oneOf`);
    }
    const beside = Object.fromEntries(Object.entries(rest).filter(([each]) => isAssertion(each)));
    const plain = Object.keys(beside).length === 0;
    const options = members.flatMap((member, index) => {
      const at = `${where}/${keyword}/${index}`;
      if (member === false) return [];
      // Left unmerged if possible: then a reference becomes a rule, which may be recursive.
      return [this.expression(plain ? given[index] : mergeSchemas([member, beside], at, this.budget), at)];
    });
    if (options.length === 0) throw new GrammarRefused("false fits nothing", `${where}/${keyword}`);
    return choice(...options);
  }

  private typed(type: string, schema: JsonObject, where: string): GrammarExpression {
    switch (type) {
      case "null":
        return text("null");
      case "boolean":
        return rule("boolean");
      case "string":
        return stringGrammar(schema, where);
      case "integer":
        return integerBetween(schema, where);
      case "number":
        return numberBetween(schema, where);
      case "array":
        return this.array(schema, where);
      default:
        return this.object(schema, where);
    }
  }

  private array(schema: JsonObject, where: string): GrammarExpression {
    const { items = true, prefixItems = [], minItems, maxItems } = schema;
    const [min, max] = boundsOf(minItems, maxItems, where, ["minItems", "maxItems"]);
    const first = listOf(prefixItems, `${where}/prefixItems`, true).slice(0, max);
    const isOpen = items !== false && first.length < (max ?? Infinity);
    if (!isOpen && first.length < min) throw new GrammarRefused("there are not as many items", `${where}/minItems`);
    const comma = rule("comma");
    let rest: GrammarExpression = nothing;
    if (isOpen) {
      const item = this.shared(this.expression(items, `${where}/items`));
      const fewest = Math.max(0, min - first.length);
      const most = max === undefined ? undefined : max - first.length;
      if (first.length > 0) rest = repeat(sequence(comma, item), fewest, most);
      else {
        const all = sequence(
          item,
          repeat(sequence(comma, item), Math.max(0, fewest - 1), most && most - 1),
          rule("ws"),
        );
        return bracketed("[", fewest === 0 ? optional(all) : all, "]");
      }
    }
    for (const [index, schemaOfItem] of [...first.entries()].toReversed()) {
      const item = this.expression(schemaOfItem, `${where}/prefixItems/${index}`);
      const own = sequence(...(index === 0 ? [] : [comma]), item, rest);
      rest = index < min ? own : optional(own);
    }
    return bracketed("[", sequence(rest, rule("ws")), "]");
  }

  private object(schema: JsonObject, where: string): GrammarExpression {
    const { properties = {}, additionalProperties } = schema;
    if (!isObject(properties)) throw new GrammarRefused("it is no object", `${where}/properties`);
    const required = new Set(listOf(schema.required ?? [], `${where}/required`, true).map(String));
    this.budget.spend(required.size + Object.keys(properties).length, where);
    const undeclared = [...required].filter((name) => !Object.hasOwn(properties, name));
    if (additionalProperties === false && undeclared.length > 0) {
      const description = `"${undeclared[0]}" is required and no property`;
      throw new GrammarRefused(description, `${where}/required`);
    }
    const additional = additionalProperties ?? true;
    const members = [
      ...keysInOrder(properties).flatMap((name) => {
        const of = properties[name];
        if (of === false && !required.has(name)) return [];
        return [{ name, of, where: `${where}/properties/${name}` }];
      }),
      ...undeclared.map((name) => ({ name, of: additional, where: `${where}/additionalProperties` })),
    ].map((member) => ({
      isRequired: required.has(member.name),
      written: sequence(text(JSON.stringify(member.name)), rule("colon"), this.expression(member.of, member.where)),
    }));
    const isOpen =
      additionalProperties === undefined ? Object.keys(properties).length === 0 : additionalProperties !== false;
    const other = isOpen
      ? this.shared(
          sequence(
            keysExcept([...Object.keys(properties), ...undeclared]),
            rule("colon"),
            this.expression(additional, `${where}/additionalProperties`),
          ),
        )
      : undefined;
    return bracketed("{", sequence(this.members(members, other), rule("ws")), "}");
  }

  /** Makes two rules for each member: what follows if it is the first one written, and what follows otherwise. */
  private members(
    members: ReadonlyArray<{ readonly isRequired: boolean; readonly written: GrammarExpression }>,
    other: GrammarExpression | undefined,
  ): GrammarExpression {
    const more = (part: GrammarExpression) => sequence(rule("comma"), part);
    let asFirst = other === undefined ? nothing : optional(sequence(other, repeat(more(other), 0)));
    let asNext = other === undefined ? nothing : repeat(more(other), 0);
    for (const { isRequired, written } of members.toReversed()) {
      const name = `${this.prefix}m${this.count++}`;
      this.rules[name] = asNext;
      const next = rule(name);
      const [first, following] = [sequence(written, next), sequence(more(written), next)];
      if (isRequired) [asFirst, asNext] = [first, following];
      else {
        this.rules[`${name}f`] = asFirst;
        asFirst = choice(first, rule(`${name}f`));
        asNext = choice(following, next);
      }
    }
    return asFirst;
  }
}

const bracketed = (open: string, inner: GrammarExpression, close: string): GrammarExpression =>
  sequence(text(open), rule("ws"), inner, text(close));

/** null, boolean, string, number, array, object: `typesOf` counts integers as numbers. */
const allTypes = 6;
const deepest = 64;
/** Building an expression costs more than looking at a keyword. */
const stepsOfASchema = 16;

/** Whether it contains an integer beyond 2^53, which may have lost digits when it was decoded. */
const losesDigits = (value: unknown): boolean => {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === "object" && value !== null && Object.values(value).some(losesDigits);
};
