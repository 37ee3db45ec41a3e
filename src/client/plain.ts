import type { DescField, DescMessage, Message, MessageShape, UnknownEnum } from "@bufbuild/protobuf";
import { type Duration, durationMs, type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { enumName } from "./enum-names.ts";

/**
 * A message of the API as plain data, which logs and serialises well: without `$typeName`, with timestamps as dates, durations
 * as milliseconds under a name that ends in `Ms`, and enum values by name.
 */
export type Plain<T> = {
  readonly [K in keyof T as PlainKey<K, T[K]>]: PlainValue<T[K]>;
};

type PlainKey<K, V> = K extends "$typeName" | "$unknown"
  ? never
  : [NonNullable<V>] extends [Duration]
    ? `${K & string}Ms`
    : K;

type PlainValue<V> = V extends Timestamp
  ? Date
  : V extends Duration
    ? number
    : V extends Message
      ? Plain<V>
      : V extends readonly (infer Item)[]
        ? readonly PlainValue<Item>[]
        : number extends V
          ? V
          : UnknownEnum extends V
            ? string
            : V;

// By name: importing their schemas would add the descriptors of descriptors to the bundle.
const durationName: Duration["$typeName"] = "google.protobuf.Duration";
const timestampName: Timestamp["$typeName"] = "google.protobuf.Timestamp";

/** Converts a message to plain data. Only for messages without oneofs and maps of messages. */
export const toPlain = <Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema>,
): Plain<MessageShape<Schema>> => plainMessage(schema, message) as Plain<MessageShape<Schema>>; // as the type says

const plainMessage = (schema: DescMessage, message: object): object => {
  const plain: Record<string, unknown> = {};
  for (const field of schema.fields) {
    const value: unknown = message[field.localName as keyof typeof message];
    if (value === undefined) continue;
    const isDuration = field.fieldKind === "message" && field.message.typeName === durationName;
    plain[isDuration ? `${field.localName}Ms` : field.localName] = Array.isArray(value)
      ? value.map((item) => plainValue(field, item))
      : plainValue(field, value);
  }
  return plain;
};

const plainValue = ({ enum: enumSchema, message: schema }: DescField, value: unknown): unknown => {
  if (enumSchema !== undefined) return enumName(enumSchema, value as number);
  if (schema === undefined) return value;
  if (schema.typeName === durationName) return durationMs(value as Duration);
  if (schema.typeName === timestampName) return timestampDate(value as Timestamp);
  return plainMessage(schema, value as object);
};
