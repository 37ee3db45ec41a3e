/** Resolves references within a JSON Schema, and merges what `$ref` and `allOf` require together. */
import { isObject, type JsonObject } from "../json-object.ts";
import { GrammarRefused } from "./expressions.ts";
import { assertSupported, isAssertion } from "./keywords.ts";
import { mergeSchemas } from "./schema-merge.ts";
import { listOf } from "./schema-values.ts";
import type { WorkBudget } from "./work-budget.ts";

export class SchemaReferences {
  private readonly root: unknown;
  private readonly budget: WorkBudget;

  /** @param root the schema that references are relative to, as decoded JSON */
  constructor(root: unknown, budget: WorkBudget) {
    this.root = root;
    this.budget = budget;
  }

  /** An equivalent schema without `$ref` and `allOf` at its top level. */
  merged(schema: unknown, where: string): unknown {
    if (!isObject(schema) || (schema.$ref === undefined && schema.allOf === undefined)) return schema;
    return mergeSchemas(this.conjuncts(schema, where, new Set(), new Set(), 0), where, this.budget);
  }

  /**
   * The flat list of schemas that must all hold. A schema that is referred to twice is listed once, so that references
   * cannot multiply.
   *
   * @param open the references that led here
   * @param known the references that were followed
   */
  private conjuncts(
    schema: unknown,
    where: string,
    open: ReadonlySet<string>,
    known: Set<string>,
    depth: number,
  ): ReadonlyArray<unknown> {
    if (!isObject(schema)) return [schema];
    if (depth > deepestReferences) {
      throw new GrammarRefused(`references and allOf lead on more than ${deepestReferences} times`, where);
    }
    this.budget.spend(1 + Object.keys(schema).length, where);
    for (const [keyword, value] of Object.entries(schema)) assertSupported(keyword, value, where);
    const { $ref, allOf, ...rest } = schema;
    const found: unknown[] = [];
    if ($ref !== undefined) {
      const target = this.resolve($ref, where);
      const pointer = $ref as string;
      if (open.has(pointer)) throw new GrammarRefused("it refers to itself without end", where);
      if (!known.has(pointer)) {
        known.add(pointer);
        found.push(...this.conjuncts(target, pointer, new Set([...open, pointer]), known, depth + 1));
      }
    }
    if (allOf !== undefined) {
      for (const [index, member] of listOf(allOf, `${where}/allOf`).entries()) {
        const own = this.conjuncts(member, `${where}/allOf/${index}`, open, known, depth + 1);
        for (const each of own) found.push(each);
      }
    }
    const asserting = Object.entries(rest).filter(([keyword]) => isAssertion(keyword));
    if (asserting.length > 0) found.push(Object.fromEntries(asserting));
    return found;
  }

  resolve(pointer: unknown, where: string): unknown {
    if (typeof pointer !== "string" || !/^#(\/|$)/.test(pointer)) {
      throw new GrammarRefused("only references within the schema are supported (#/...)", `${where}/$ref`);
    }
    let found: unknown = this.root;
    for (const part of pointer.split("/").slice(1)) {
      const key = decodePart(part, where).replaceAll("~1", "/").replaceAll("~0", "~");
      const has = typeof found === "object" && found !== null && Object.hasOwn(found, key);
      if (!has) throw new GrammarRefused(`it refers to ${pointer.slice(0, 100)}, which is not there`, `${where}/$ref`);
      found = (found as JsonObject)[key];
    }
    return found;
  }
}

const decodePart = (part: string, where: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new GrammarRefused("it is no valid reference", `${where}/$ref`);
  }
};

const deepestReferences = 256;
