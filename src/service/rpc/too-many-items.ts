/**
 * Lists and maps that are longer than the proto files allow, found before anything in them is looked at: the validator
 * checks every item of a list that is too long, and a few megabytes of empty items keep it busy for half a minute.
 */
import { type DescField, type DescMessage, getOption, type MessageShape } from "@bufbuild/protobuf";
import { Violation } from "@bufbuild/protovalidate";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** Messages within one request, at most: each list may be full, but not all of them at once. */
const mostMessages = 16_384;

/** The first that is found. */
export const tooManyItems = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Violation | undefined => new Search().in(schema, message, []);

class Search {
  private messages = 0;

  in(schema: DescMessage, message: object, at: Violation["field"]): Violation | undefined {
    for (const { field, most } of checkedFields(schema)) {
      const value = valueOf(message, field);
      if (typeof value !== "object" || value === null) continue;
      const found = this.inField(value, field, most, at);
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

interface CheckedField {
  readonly field: DescField;
  /** Items or entries. */
  readonly most: number;
}

const known = new WeakMap<DescMessage, ReadonlyArray<CheckedField>>();

const checkedFields = (schema: DescMessage): ReadonlyArray<CheckedField> => {
  const fields =
    known.get(schema) ??
    schema.fields
      .map((field) => ({ field, most: mostOf(field) }))
      .filter(({ field, most }) => most < Infinity || hasRules(field.message));
  known.set(schema, fields);
  return fields;
};

const mostOf = (field: DescField): number => {
  const { type } = getOption(field, fieldRules);
  if (type.case === "map") return Number(type.value.maxPairs ?? Infinity);
  return type.case === "repeated" ? Number(type.value.maxItems ?? Infinity) : Infinity;
};

/** Google's own types hold values of any kind, which have no rules. */
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
