/** Finds why a JSON text is not a given message: the place, what is there and what is allowed there. */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";

import { type JsonFault, scanJson } from "./json-scan.ts";

/** Of strings only the type is given, as they may be prompts; the names of enum values are shown. */
export const jsonFault = (schema: DescMessage, text: string): JsonFault | undefined =>
  scanJson(text) ?? faultOfMessage(schema, JSON.parse(text) as JsonValue, "");

const faultOfMessage = (schema: DescMessage, json: JsonValue, path: string): JsonFault | undefined => {
  if (schema.typeName.startsWith("google.protobuf.")) {
    return reads(schema, json) ? undefined : { field: path, description: describeWellKnown(schema, json) };
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return { field: path, description: describe(json, "an object") };
  }
  const chosen = new Map<string, string>();
  const seen = new Set<DescField>();
  for (const [key, value] of Object.entries(json)) {
    const field = schema.fields.find(({ name, jsonName }) => name === key || jsonName === key);
    const place = path === "" ? key : `${path}.${field?.name ?? key}`;
    if (field === undefined) {
      const known = schema.fields.map(({ jsonName }) => jsonName).join(", ") || "none";
      return { field: place.slice(0, 256), description: `there is no such field; there are ${known}`.slice(0, 700) };
    }
    if (seen.has(field)) return { field: place, description: "it is there twice" };
    seen.add(field);
    if (value === null) continue; // JSON null means that the field is absent
    const { oneof } = field;
    const other = oneof && chosen.get(oneof.name);
    if (oneof !== undefined && other !== undefined) {
      const description = `only one of ${other} and ${field.name} can be set`;
      return { field: path === "" ? oneof.name : `${path}.${oneof.name}`, description };
    }
    if (oneof !== undefined) chosen.set(oneof.name, field.name);
    if (!reads(schema, { [key]: value })) return faultOfField(schema, field, key, value, place);
  }
  return undefined;
};

/** Examines only the field at fault, as requests may be large. */
const faultOfField = (
  schema: DescMessage,
  field: DescField,
  key: string,
  json: JsonValue,
  path: string,
): JsonFault | undefined => {
  switch (field.fieldKind) {
    case "message":
      return faultOfMessage(field.message, json, path);
    case "map":
      return faultOfMap(schema, field, key, json, path);
    case "list": {
      if (!Array.isArray(json)) return { field: path, description: describe(json, "a list") };
      const index = firstUnread(json, (items) => reads(schema, { [key]: items }));
      const item = json[index] ?? null;
      const place = `${path}[${index}]`;
      const isMessage = field.listKind === "message" && item !== null;
      return isMessage ? faultOfMessage(field.message, item, place) : faultOfValue(field, item, place);
    }
    default:
      return faultOfValue(field, json, path);
  }
};

const faultOfMap = (
  schema: DescMessage,
  field: DescField & { readonly fieldKind: "map" },
  key: string,
  json: JsonValue,
  path: string,
): JsonFault | undefined => {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return { field: path, description: describe(json, "an object of names and values") };
  }
  const [name, value] = Object.entries(json).find(([each, item]) => !reads(schema, { [key]: { [each]: item } })) ?? [];
  if (name === undefined || value === undefined) return undefined;
  if (!name.isWellFormed()) return { field: path, description: "one of its names has half of a surrogate pair" };
  const place = `${path}[${JSON.stringify(name.slice(0, 256))}]`;
  return field.mapKind === "message" && value !== null
    ? faultOfMessage(field.message, value, place)
    : faultOfValue(field, value, place);
};

/** The index of the first invalid item, of a list that has one. */
const firstUnread = (items: JsonValue[], isRead: (items: JsonValue[]) => boolean): number => {
  let [from, to] = [0, items.length];
  while (to - from > 1) {
    const middle = (from + to) >>> 1;
    if (isRead(items.slice(from, middle))) from = middle;
    else to = middle;
  }
  return from;
};

const faultOfValue = (field: DescField, json: JsonValue, path: string): JsonFault => {
  if (field.enum !== undefined) {
    const told = typeof json === "string" ? `${JSON.stringify(json.slice(0, 64))} is not allowed` : kindOf(json);
    return { field: path, description: `${told}; it must be one of ${valuesOf(field.enum)}` };
  }
  if (typeof json === "string" && !json.isWellFormed()) {
    return { field: path, description: "it has half of a surrogate pair; it must be well-formed text" };
  }
  return { field: path, description: describe(json, field.scalar === undefined ? "set" : scalars[field.scalar]) };
};

/** Whether the protobuf library accepts it. The library decides; this file only explains. */
const reads = (schema: DescMessage, json: JsonValue): boolean => {
  try {
    fromJson(schema, json);
    return true;
  } catch {
    return false;
  }
};

const describe = (json: JsonValue, bound: string): string => `${kindOf(json)}; it must be ${bound}`;

/** A duration in the right form is no prompt, so it is shown. */
const describeWellKnown = (schema: DescMessage, json: JsonValue): string =>
  schema.typeName === "google.protobuf.Duration" && typeof json === "string" && /^-?[\d.]{1,64}s$/.test(json)
    ? `"${json}" is not allowed; it must be ${wellKnown(schema)}, of at most 315576000000s and with at most 9 decimals`
    : describe(json, wellKnown(schema));

const kindOf = (json: JsonValue): string => {
  if (typeof json === "number" || typeof json === "boolean") return `${json} is not allowed`;
  if (json === null) return "null is not allowed";
  if (typeof json === "string") return "it is a text";
  return Array.isArray(json) ? "it is a list" : "it is an object";
};

const valuesOf = ({ values }: DescEnum): string =>
  values
    .filter(({ number }) => number !== 0)
    .map(({ name }) => name)
    .join(", ");

const wellKnown = ({ typeName }: DescMessage): string => {
  switch (typeName) {
    case "google.protobuf.Duration":
      return 'a duration such as "1.5s"';
    case "google.protobuf.Timestamp":
      return 'a time such as "2026-01-31T12:00:00Z"';
    case "google.protobuf.Struct":
      return "an object, nested no more than 100 deep";
    default:
      return `the JSON of ${typeName}`;
  }
};

const u32 = "a whole number from 0 to 4294967295";
const i32 = "a whole number from -2147483648 to 2147483647";
const u64 = "a whole number from 0 to 18446744073709551615";
const i64 = "a whole number from -9223372036854775808 to 9223372036854775807";

const scalars: Readonly<Record<ScalarType, string>> = {
  [ScalarType.DOUBLE]: "a number",
  [ScalarType.FLOAT]: "a number",
  [ScalarType.INT64]: i64,
  [ScalarType.SINT64]: i64,
  [ScalarType.SFIXED64]: i64,
  [ScalarType.UINT64]: u64,
  [ScalarType.FIXED64]: u64,
  [ScalarType.INT32]: i32,
  [ScalarType.SINT32]: i32,
  [ScalarType.SFIXED32]: i32,
  [ScalarType.UINT32]: u32,
  [ScalarType.FIXED32]: u32,
  [ScalarType.BOOL]: "true or false",
  [ScalarType.STRING]: "a text",
  [ScalarType.BYTES]: "bytes in base64",
};
