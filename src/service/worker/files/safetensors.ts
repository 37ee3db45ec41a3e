/** Validates a checkpoint's safetensors files before MLX reads them. */
import { readdirSync } from "node:fs";

import { LoadError } from "./load-error.ts";
import { readAt, readSmallFile, withRegularFile } from "./regular-file.ts";

/** The files that the index names, or every safetensors file. Throws LoadError if one is missing. */
export const weightFiles = (directory: string): ReadonlyArray<string> => {
  const index = "model.safetensors.index.json";
  const present = readdirSync(directory);
  const files = present.includes(index) ? indexed(directory, index) : unindexed(present);
  if (files.length === 0) throw new LoadError("there is no safetensors file");
  for (const file of files) {
    if (!present.includes(file)) throw new LoadError(`${index} names ${file}, which is missing`);
  }
  return files;
};

/** Throws LoadError if MLX would read wrong values. */
export const checkFile = (directory: string, file: string): void => {
  const { header, bytes } = readHeader(directory, file);
  // MLX reads a tensor's bytes lazily, and reads zeros beyond the end of a file.
  if (header === undefined) throw new LoadError(`${file} is truncated or not a safetensors file`);
  const tensors = Object.keys(header).length;
  if (tensors > mostTensors) {
    throw new LoadError(`${file} has ${tensors} tensors; it must not have more than ${mostTensors}`);
  }
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [start, end],
    },
  ] of Object.entries(header)) {
    if (start < 0 || end > bytes) throw new LoadError(`${file} is truncated or not a safetensors file`);
    const size = sizes.get(dtype);
    if (size === undefined) throw new LoadError(`tensor ${name} is stored as ${dtype}, which is not supported`);
    const needed = shape.reduce((product, length) => product * length, size);
    if (end - start !== needed) {
      throw new LoadError(`tensor ${name} of ${file} has ${end - start} bytes, its type and shape need ${needed}`);
    }
  }
};

/** Per file. MLX's reader overflows its stack, which ends the process, somewhere between this number and 200,000. */
const mostTensors = 131_072;

/** Bytes per number. */
const sizes: ReadonlyMap<string, number> = new Map([
  ["F32", 4],
  ["F16", 2],
  ["BF16", 2],
  ["I64", 8],
  ["I32", 4],
  ["I16", 2],
  ["I8", 1],
  ["U64", 8],
  ["U32", 4],
  ["U16", 2],
  ["U8", 1],
  ["BOOL", 1],
]);

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: ReadonlyArray<number>;
  readonly data_offsets: readonly [start: number, end: number];
}

/** 8 bytes of header length, the header as JSON, then `bytes` bytes of tensors. */
const readHeader = (
  directory: string,
  file: string,
): { readonly header?: Record<string, HeaderEntry>; readonly bytes: number } => {
  const broken = { bytes: 0 };
  const found = withRegularFile(directory, file, (descriptor, size) => {
    const head = readAt(descriptor, 0, 8);
    if (head.length < 8) return broken;
    const headerBytes = Number(head.readBigUInt64LE());
    if (headerBytes > size - 8) return broken;
    if (headerBytes > headerMaxBytes) {
      throw new LoadError(`${file} has a header of ${headerBytes} bytes; it must not have more than ${headerMaxBytes}`);
    }
    const entries = parseHeader(readAt(descriptor, 8, headerBytes));
    return entries !== undefined && isHeader(entries) ? { header: entries, bytes: size - 8 - headerBytes } : broken;
  });
  return found ?? broken;
};

/** The header of a model with 100,000 tensors takes a third of this. */
const headerMaxBytes = 32 * 1024 ** 2;

/** Undefined if it is invalid. */
const parseHeader = (bytes: Buffer): Record<string, unknown> | undefined => {
  try {
    // MLX writes null for missing metadata.
    const { __metadata__: _, ...entries } = JSON.parse(utf8.decode(bytes)) as Record<string, unknown>;
    return entries;
  } catch {
    return undefined;
  }
};

/** Throws on invalid UTF-8, as MLX does. */
const utf8 = new TextDecoder("utf-8", { fatal: true });

const isHeader = (entries: Record<string, unknown>): entries is Record<string, HeaderEntry> =>
  Object.values(entries).every((entry) => {
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Partial<Record<string, unknown>>;
    return typeof dtype === "string" && isListOfSizes(shape) && isListOfSizes(offsets) && offsets.length === 2;
  });

const isListOfSizes = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** Other files may be beside a model's own: an adapter, the same weights in another layout. */
const unindexed = (present: ReadonlyArray<string>): ReadonlyArray<string> => {
  const files = present.filter((file) => file.endsWith(".safetensors")).toSorted();
  const own = files.filter((file) => file.startsWith("model"));
  return own.length > 0 ? own : files;
};

const indexed = (directory: string, index: string): ReadonlyArray<string> => {
  const text = readSmallFile(directory, index) ?? "";
  try {
    const { weight_map: map } = JSON.parse(text) as { weight_map?: unknown };
    if (typeof map === "object" && map !== null) return [...new Set(Object.values(map).map(String))];
  } catch {
    // reported below, like a missing map
  }
  throw new LoadError(`${index} has no weight_map`);
};
