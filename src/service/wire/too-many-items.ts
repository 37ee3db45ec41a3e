/**
 * Finds lists and maps that exceed the limits of the proto files before any item is validated. The validator checks
 * every item even of a list that is too long: a few megabytes of empty items would keep it busy for half a minute.
 */
import { type DescField, type DescMessage, getOption, type MessageShape } from "@bufbuild/protobuf";
import { Violation } from "@bufbuild/protovalidate";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** How many messages one request may contain in total: each list may be full, but not all at once. */
const mostMessages = 16_384;
/** How many values of google.protobuf.Struct one request may contain, objects and lists included. */
const mostValues = 65_536;

/** The first violation that is found. */
export const tooManyItems = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Violation | undefined => new Search(true).in(schema, message, []);

/** The same for the totals of the whole request, without the limits of each list. */
export const tooManyInAll = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Violation | undefined => new Search(false).in(schema, message, []);

class Search {
  private readonly ofEach: boolean;
  private messages = 0;
  private values = 0;

  /** @param ofEach whether to check the limit of each list and map as well */
  constructor(ofEach: boolean) {
    this.ofEach = ofEach;
  }

  in(schema: DescMessage, message: object, at: Violation["field"]): Violation | undefined {
    for (const { field, most } of checkedFields(schema)) {
      const value = valueOf(message, field);
      if (typeof value !== "object" || value === null) continue;
      const found = this.inField(value, field, this.ofEach ? most : Infinity, at);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private inField(value: object, field: DescField, most: number, at: Violation["field"]): Violation | undefined {
    const here = () => [...at, field];
    if (field.fieldKind === "map") {
      if (Object.keys(value).length <= most) return undefined;
      return violation(here(), "map.max_pairs", `map must be at most ${most} entries`);
    }
    if (isStruct(field.message)) {
      this.values += countValues(value, mostValues - this.values);
      if (this.values <= mostValues) return undefined;
      const rule = `the request has more than ${mostValues} JSON values in all, as template options and tool schemas; send fewer`;
      return violation(here(), "request.max_values", rule);
    }
    if (!Array.isArray(value)) return field.message && this.in(field.message, value, here());
    if (value.length > most)
      return violation(here(), "repeated.max_items", `must contain no more than ${most} item(s)`);
    if (field.message === undefined) return undefined;
    this.messages += value.length;
    if (this.messages > mostMessages) {
      const rule = `the request has more than ${mostMessages} messages, parts and calls in all; send fewer`;
      return violation(here(), "request.max_messages", rule);
    }
    for (const [index, item] of (value as ReadonlyArray<object>).entries()) {
      const found = this.in(field.message, item, [...at, field, { kind: "list_sub", index }]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Counts the values of plain JSON; stops above `most`. */
const countValues = (json: object, most: number): number => {
  const open: object[] = [json];
  let count = 0;
  for (let next = open.pop(); next !== undefined && count <= most; next = open.pop()) {
    for (const value of Object.values(next) as ReadonlyArray<unknown>) {
      count += 1;
      if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return count;
};

interface CheckedField {
  readonly field: DescField;
  /** How many items or entries are allowed. */
  readonly most: number;
}

const known = new WeakMap<DescMessage, ReadonlyArray<CheckedField>>();

const checkedFields = (schema: DescMessage): ReadonlyArray<CheckedField> => {
  const fields =
    known.get(schema) ??
    schema.fields
      .map((field) => ({ field, most: mostOf(field) }))
      .filter(({ field, most }) => most < Infinity || hasRules(field.message) || isStruct(field.message));
  known.set(schema, fields);
  return fields;
};

const mostOf = (field: DescField): number => {
  const { type } = getOption(field, fieldRules);
  if (type.case === "map") return Number(type.value.maxPairs ?? Infinity);
  return type.case === "repeated" ? Number(type.value.maxItems ?? Infinity) : Infinity;
};

const isStruct = (message: DescMessage | undefined): boolean => message?.typeName === "google.protobuf.Struct";

/** Google's own types hold arbitrary values and have no rules. */
const hasRules = (message: DescMessage | undefined): boolean =>
  message !== undefined && !message.typeName.startsWith("google.protobuf.");

const valueOf = (message: object, { oneof, localName }: DescField): unknown => {
  const members = message as Readonly<Record<string, unknown>>;
  if (oneof === undefined) return members[localName];
  const chosen = members[oneof.localName] as { case?: string; value?: unknown } | undefined;
  return chosen?.case === localName ? chosen.value : undefined;
};

const violation = (at: Violation["field"], ruleId: string, message: string): Violation =>
  new Violation(message, ruleId, at, [], false);
