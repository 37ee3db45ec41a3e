/**
 * Estimates from a request's bytes how much work it is to decode and validate, before anything is decoded. A megabyte
 * of one text is decoded in a millisecond; a megabyte of empty messages takes a thousand times as long.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Up to this many elements a request is decoded on the main thread: about 5 ms to decode and 15 ms to validate. */
const lightElements = 4096;
/** Above this size a request is heavy without counting. */
const lightBytes = 1024 ** 2;

/** Whether decoding and validating the request would block other calls for too long. */
export const isHeavy = (schema: DescMessage, bytes: Uint8Array, isBinary: boolean): boolean => {
  if (bytes.length > lightBytes) return true;
  // Every element takes at least one byte.
  if (bytes.length <= lightElements) return false;
  return isBinary ? new WireCount(bytes).exceeds(schema) : jsonElements(bytes) > lightElements;
};

/** Counts objects, lists, and commas between their members. */
const jsonElements = (text: Uint8Array): number => {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === quote) at = endOfString(text, at);
    else if (byte === openObject || byte === openList || byte === comma) count += 1;
  }
  return count;
};

const endOfString = (text: Uint8Array, start: number): number => {
  for (let at = start + 1; at < text.length; at++) {
    const byte = text[at];
    if (byte === backslash) at += 1;
    else if (byte === quote) return at;
  }
  return text.length;
};

const [quote, backslash, comma, openObject, openList] = [0x22, 0x5c, 0x2c, 0x7b, 0x5b];

/** Deeper than any message of the API; only google.protobuf.Value nests without bound. */
const mostDepth = 128;
/** Numbers in a packed field are cheap compared with messages. */
const packedBytesPerElement = 16;

/** Counts fields in protobuf's binary format: https://protobuf.dev/programming-guides/encoding */
class WireCount {
  readonly #reader: BinaryReader;
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.#reader = new BinaryReader(bytes);
  }

  exceeds(schema: DescMessage): boolean {
    try {
      return this.#message(schema, this.#reader.len, 0);
    } catch {
      return false; // malformed input is rejected quickly
    }
  }

  /** True as soon as the limit is exceeded. */
  #message(schema: DescMessage, end: number, depth: number): boolean {
    if (depth > mostDepth) return true;
    const reader = this.#reader;
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      this.#count += 1;
      if (this.#count > lightElements) return true;
      const field = fieldsOf(schema).get(number);
      if (wireType !== WireType.LengthDelimited || field === undefined) {
        reader.skip(wireType, number);
        continue;
      }
      const length = reader.uint32();
      const fieldEnd = reader.pos + length;
      if (field.fieldKind === "map") {
        if (this.#mapEntry(field, fieldEnd, depth)) return true;
      } else if (field.message !== undefined) {
        if (this.#message(field.message, fieldEnd, depth + 1)) return true;
      } else if (field.fieldKind === "list" && field.packed) {
        this.#count += length / packedBytesPerElement;
      }
      reader.pos = fieldEnd;
    }
    return this.#count > lightElements;
  }

  /** A map entry is encoded as a message of its key (field 1) and its value (field 2). */
  #mapEntry(field: DescField & { fieldKind: "map" }, end: number, depth: number): boolean {
    if (field.mapKind !== "message") return false;
    const reader = this.#reader;
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      if (number !== 2 || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number);
        continue;
      }
      const valueEnd = reader.uint32() + reader.pos;
      if (this.#message(field.message, valueEnd, depth + 1)) return true;
      reader.pos = valueEnd;
    }
    return false;
  }
}

const known = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

const fieldsOf = (schema: DescMessage): ReadonlyMap<number, DescField> => {
  const fields = known.get(schema) ?? new Map(schema.fields.map((field) => [field.number, field]));
  known.set(schema, fields);
  return fields;
};
