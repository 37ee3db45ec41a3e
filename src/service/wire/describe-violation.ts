/**
 * Describes a violated rule in one sentence, with the received value and the bound. Of texts only the length is given,
 * as they may be prompts.
 */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  isMessage,
  type MessageShape,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Violation } from "@bufbuild/protovalidate";

import type { FieldViolation } from "../domain/errors.ts";

export const describeViolation = (message: MessageShape<DescMessage>, violation: Violation): FieldViolation => {
  const field = pathToString(violation.field);
  const last = violation.field.at(-1);
  if (last?.kind === "oneof") return { field, description: `exactly one of ${oneofNames(last)} must be set` };
  if (violation.ruleId === "required") return { field, description: "it must be set" };
  const value = violation.forKey && last?.kind === "map_sub" ? last.key : valueAt(message, violation.field);
  const enumeration = enumOf(violation.field);
  if (enumeration !== undefined) return { field, description: describeEnum(enumeration, value) };
  return { field, description: describeValue(value, boundOf(violation.message), violation.ruleId) };
};

const describeValue = (value: unknown, bound: string, ruleId: string): string => {
  if (typeof value === "number" || typeof value === "bigint") return `${value} is out of range; it ${bound}`;
  if (isMessage(value, DurationSchema)) {
    return `${Number(value.seconds) + value.nanos / 1e9}s is out of range; it ${bound}`;
  }
  // The patterns of names ask for something that can be seen.
  if (ruleId.endsWith(".pattern") && typeof value === "string" && value.trim() === "") return blank;
  const size = sizeOf(value);
  return size === undefined || ruleId.endsWith(".pattern") || !bound.startsWith("must ")
    ? bound
    : `it has ${size}; it ${bound}`;
};

const blank = "it is blank; it must have a character other than white space";

const sizeOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return `${Buffer.byteLength(value)} bytes`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `${value.length} items`;
  return undefined;
};

const describeEnum = (enumeration: DescEnum, value: unknown): string => {
  const named = enumeration.values.find(({ number }) => number === value)?.name ?? String(value);
  const allowed = enumeration.values.filter(({ number }) => number !== 0).map(({ name }) => name);
  return `${named} is not allowed; it must be one of ${allowed.join(", ")}`;
};

/** The validator's own words, with its longest phrase shortened. */
const boundOf = (message: string): string =>
  message.replace(
    /^must be greater than or equal to (\S+) and less than or equal to (\S+)$/,
    "must be between $1 and $2",
  );

const oneofNames = (oneof: DescOneof): string => oneof.fields.map(({ name }) => name).join(", ");

const enumOf = (path: Violation["field"]): DescEnum | undefined => {
  const field = path.findLast((step): step is DescField => step.kind === "field");
  return field?.enum;
};

/** The value at a path of a message; undefined if there is none. */
const valueAt = (message: MessageShape<DescMessage>, path: Violation["field"]): unknown => {
  let value: unknown = message;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    const container = value as Readonly<Record<string, unknown>>; // a message, list or map: all are plain objects
    if (step.kind === "list_sub") value = container[step.index];
    else if (step.kind === "map_sub") value = container[String(step.key)];
    else if (step.kind === "field" && step.oneof !== undefined) {
      const chosen = container[step.oneof.localName] as { case?: string; value?: unknown } | undefined;
      value = chosen?.case === step.localName ? chosen.value : undefined;
    } else if (step.kind === "field") value = container[step.localName];
    else return undefined;
  }
  return value;
};
