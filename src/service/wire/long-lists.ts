/**
 * Long lists of whole numbers, token ids above all, taken out of a message on its way between processes: to decode a
 * million of them as protobuf takes 50 ms, and to copy them as they are takes 5.
 */
import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";

import { numbersOf } from "../domain/numbers-of.ts";

export interface LongList {
  /** Local names of fields and indexes in lists, from the message inwards. */
  readonly path: ReadonlyArray<string | number>;
  readonly values: Uint32Array;
}

/** Below that it is not worth the walk back. */
const longFrom = 16_384;

/** Leaves an empty list in the place of each. */
export const takeLongLists = (schema: DescMessage, message: Message): ReadonlyArray<LongList> => {
  const found: LongList[] = [];
  walk(schema, message, [], found);
  return found;
};

/** The message as it was. */
export const putBackLongLists = (message: Message, lists: ReadonlyArray<LongList>): void => {
  for (const { path, values } of lists) {
    const inner = path.slice(0, -1).reduce<unknown>((at, step) => (at as Members)[step], message);
    (inner as Members)[path.at(-1) ?? ""] = numbersOf(values);
  }
};

/** Of a message by their local names, or of a list by their indexes. */
type Members = Record<string | number, unknown>;

const walk = (schema: DescMessage, message: Message, path: LongList["path"], found: LongList[]): void => {
  for (const field of schema.fields) {
    const [holder, at] = placeOf(field, message, path);
    if (holder === undefined) continue;
    const name = at.at(-1) ?? "";
    const value = holder[name];
    if (field.fieldKind === "list" && field.scalar === ScalarType.UINT32) {
      const values = value as number[];
      if (values.length < longFrom) continue;
      found.push({ path: at, values: new Uint32Array(values) });
      holder[name] = [];
    } else if (field.fieldKind === "list" && field.message !== undefined) {
      for (const [index, one] of (value as Message[]).entries()) walk(field.message, one, [...at, index], found);
    } else if (field.fieldKind === "message" && isMessage(value)) {
      walk(field.message, value, at, found);
    }
  }
};

/** What has the field as a member, and the member's path: a choice has its one field as its `value`. */
const placeOf = (
  field: DescField,
  message: Members,
  path: LongList["path"],
): readonly [holder: Members | undefined, at: LongList["path"]] => {
  if (field.oneof === undefined) return [message, [...path, field.localName]];
  const { localName } = field.oneof;
  const chosen = message[localName] as Members;
  return [chosen["case"] === field.localName ? chosen : undefined, [...path, localName, "value"]];
};

/** A google.protobuf.Struct is a plain object, and has no such lists. */
const isMessage = (value: unknown): value is Message =>
  typeof value === "object" && value !== null && "$typeName" in value;
