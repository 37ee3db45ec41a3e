/**
 * Checks that a tool's schema is usable before anything is generated: every keyword in every place, every reference,
 * and how much work the validation of a value takes. Linear in the schema's size.
 */
import { nestsDeeper } from "../../domain/nests-deeper.ts";
import { isObject, type JsonObject } from "../json-object.ts";
import { applicators, valueProblem } from "./keywords.ts";
import { createResolver, type Resolve } from "./references.ts";

export interface SchemaProblem {
  /** A JSON pointer to the place, e.g. `#/properties/city`. */
  readonly where: string;
  /** What is wrong there, worded to follow the place. */
  readonly reason: string;
}

/** JSON values in the schemas of all tools of a task together. */
export const mostSchemaValues = 65_536;
const deepest = 64;
/** Counted in JSON values; each level of schema takes two or three. */
const deepestValue = 256;
/** The most schemas that may be applied to one value. */
const mostApplied = 10_000;

/** The number of JSON values that it contains. Stops counting shortly above the limit. */
export const countValues = (schema: unknown): number => {
  const open: unknown[] = [schema];
  let count = 0;
  while (open.length > 0 && count <= mostSchemaValues) {
    const value = open.pop();
    count += 1;
    if (typeof value === "object" && value !== null) for (const member of Object.values(value)) open.push(member);
  }
  return count;
};

/** @param takes what a value is to be: the arguments of a call are an object */
export const checkSchema = (
  schema: JsonObject,
  takes: "objects" | "anything" = "objects",
): SchemaProblem | undefined => {
  try {
    new Check(schema).run(takes);
    return undefined;
  } catch (cause) {
    if (cause instanceof SchemaInvalid) return cause.problem;
    throw cause;
  }
};

class SchemaInvalid extends Error {
  readonly problem: SchemaProblem;

  constructor(where: string, reason: string) {
    super(reason);
    this.problem = { where, reason };
  }
}

interface Place {
  readonly schema: unknown;
  /** A JSON pointer, for messages. */
  readonly where: string;
  /** Depth in the schema as written. */
  readonly depth: number;
}

class Check {
  private readonly root: JsonObject;
  private readonly resolve: Resolve;
  /** How many schemas each schema applies to a value; "open" while this is being computed. */
  private readonly applied = new Map<object, number | "open">();
  /** The place of each schema, for messages. */
  private readonly places = new Map<object, string>();

  constructor(root: JsonObject) {
    this.root = root;
    this.resolve = createResolver(root);
  }

  run(takes: "objects" | "anything"): void {
    const size = countValues(this.root);
    // Schemas and plain values alike: serialising them is recursive.
    if (nestsDeeper(this.root, deepestValue)) throw new SchemaInvalid("#", `is nested more than ${deepestValue} deep`);
    if (size > mostSchemaValues) throw new SchemaInvalid("#", `has more than ${mostSchemaValues} values`);
    this.visitAll();
    for (const schema of this.places.keys()) this.count(schema, 0);
    if (takes === "objects" && !this.takesObjects(this.root, new Set())) {
      throw new SchemaInvalid("#", "must take an object: the arguments of a call are one");
    }
  }

  /** Visits every schema once, however it is reached. */
  private visitAll(): void {
    const open: Array<Place> = [{ schema: this.root, where: "#", depth: 0 }];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      const { schema, where, depth } = place;
      if (typeof schema === "boolean") continue;
      if (!isObject(schema)) throw new SchemaInvalid(where, "must be a schema: an object, true or false");
      if (depth > deepest) throw new SchemaInvalid(where, `is nested more than ${deepest} deep`);
      if (this.places.has(schema)) continue;
      this.places.set(schema, where);
      open.push(...this.partsOfSchema(schema, where, depth).toReversed());
    }
  }

  private partsOfSchema(schema: JsonObject, where: string, depth: number): ReadonlyArray<Place> {
    return Object.entries(schema).flatMap(([keyword, value]) => {
      const problem = valueProblem(keyword, value);
      if (problem !== undefined) throw new SchemaInvalid(`${where}/${keyword}`, problem);
      if (keyword === "$id" && schema !== this.root) {
        throw new SchemaInvalid(`${where}/$id`, "is supported at the root of a schema only");
      }
      if (keyword === "$ref") return [{ schema: this.target(value, where), where: shorten(String(value)), depth: 0 }];
      return partsOf(keyword, value, where).map(([at, part]) => ({ schema: part, where: at, depth: depth + 1 }));
    });
  }

  private target(reference: unknown, where: string): unknown {
    if (typeof reference !== "string") throw new SchemaInvalid(`${where}/$ref`, "must be a string");
    const target = this.resolve(reference);
    if (target !== undefined) return target;
    const isLocal = reference.startsWith("#");
    const reason = isLocal ? "which is not there" : "but only references within the schema (#...) are supported";
    throw new SchemaInvalid(`${where}/$ref`, `leads to ${JSON.stringify(shorten(reference))}, ${reason}`);
  }

  private count(schema: unknown, depth: number): number {
    if (!isObject(schema)) return 1;
    const known = this.applied.get(schema);
    const where = this.places.get(schema) ?? "#";
    if (known === "open") throw new SchemaInvalid(where, "refers to itself without end");
    if (known !== undefined) return known;
    if (depth > deepestChain)
      throw new SchemaInvalid(where, `leads from schema to schema more than ${deepestChain} times`);
    this.applied.set(schema, "open");
    let total = 1;
    for (const next of this.inPlace(schema)) {
      total += this.count(next, depth + 1);
      if (total > mostApplied) throw new SchemaInvalid(where, `applies more than ${mostApplied} schemas to one value`);
    }
    this.applied.set(schema, total);
    return total;
  }

  private inPlace(schema: JsonObject): ReadonlyArray<unknown> {
    return Object.entries(schema).flatMap(([keyword, value]) => {
      if (keyword === "$ref") return [this.resolve(String(value))];
      if (applicators[keyword]?.to !== "in-place") return [];
      return partsOf(keyword, value, "").map(([, part]) => part);
    });
  }

  /** False if no object can match, as far as types and values tell. */
  private takesObjects(schema: unknown, seen: Set<object>): boolean {
    if (!isObject(schema)) return schema !== false;
    if (seen.has(schema)) return true;
    seen.add(schema);
    const { type, const: constant, enum: values, $ref, allOf, anyOf, oneOf } = schema;
    const takes = (each: unknown): boolean => this.takesObjects(each, seen);
    if (type !== undefined && !(Array.isArray(type) ? type : [type]).includes("object")) return false;
    if ("const" in schema && !isObject(constant)) return false;
    if (Array.isArray(values) && !values.some(isObject)) return false;
    if (typeof $ref === "string" && !takes(this.resolve($ref))) return false;
    if (Array.isArray(allOf) && !allOf.every(takes)) return false;
    return [anyOf, oneOf].every((options) => !Array.isArray(options) || options.some(takes));
  }
}

/** `definitions` may contain more than schemas, if nothing refers to the rest. */
const partsOf = (keyword: string, value: unknown, where: string): ReadonlyArray<readonly [string, unknown]> => {
  const applicator = Object.hasOwn(applicators, keyword) ? applicators[keyword] : undefined;
  const at = `${where}/${keyword}`;
  const isList = applicator?.holds === "list" || (keyword === "items" && Array.isArray(value));
  if (applicator === undefined) return [];
  if (isList) {
    if (!Array.isArray(value)) throw new SchemaInvalid(at, "must be an array of schemas");
    return value.map((part, index) => [`${at}/${index}`, part]);
  }
  if (applicator.holds === "single") return [[at, value]];
  if (!isObject(value)) throw new SchemaInvalid(at, "must hold schemas by name");
  return Object.entries(value)
    .filter(([, part]) => !(keyword === "dependencies" && Array.isArray(part)))
    .map(([name, part]) => [`${at}/${shorten(name)}`, part]);
};

const deepestChain = 512;

const shorten = (text: string): string => text.slice(0, 100);
