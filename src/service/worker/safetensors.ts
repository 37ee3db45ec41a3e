/** A checkpoint's safetensors files, checked before MLX reads them. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";

import { LoadError } from "./load-error.ts";

/** The shards that the index names, or every safetensors file. Throws LoadError for one that is missing. */
export const weightFiles = (directory: string): ReadonlyArray<string> => {
  const index = "model.safetensors.index.json";
  const present = readdirSync(directory);
  const files = present.includes(index) ? indexed(join(directory, index)) : unindexed(present);
  if (files.length === 0) throw new LoadError("there is no safetensors file");
  for (const file of files) {
    if (!present.includes(file)) throw new LoadError(`${index} names ${file}, which is missing`);
  }
  return files;
};

/** Throws LoadError where MLX would read something wrong. */
export const checkFile = (directory: string, file: string): void => {
  const { header, bytes } = readHeader(join(directory, file));
  // MLX reads a tensor's bytes late, and takes bytes past the end of the file for zeros.
  if (header === undefined) throw new LoadError(`${file} is truncated or not a safetensors file`);
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

/** Bytes of a number. */
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

/** 8 bytes of the header's length, the header as JSON, the tensors' bytes: `bytes` of them. */
const readHeader = (path: string): { readonly header?: Record<string, HeaderEntry>; readonly bytes: number } => {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const head = Buffer.alloc(8);
    readSync(file, head, 0, 8, 0);
    const headerBytes = Number(head.readBigUInt64LE());
    if (headerBytes > size - 8) return { bytes: 0 };
    const header = Buffer.alloc(headerBytes);
    readSync(file, header, 0, headerBytes, 8);
    // MLX writes a null for metadata that it does not have.
    const { __metadata__: _, ...entries } = JSON.parse(utf8.decode(header)) as Record<string, unknown>;
    return isHeader(entries) ? { header: entries, bytes: size - 8 - headerBytes } : { bytes: 0 };
  } catch {
    return { bytes: 0 };
  } finally {
    closeSync(file);
  }
};

/** Throws for what is none, as MLX does. */
const utf8 = new TextDecoder("utf-8", { fatal: true });

const isHeader = (entries: Record<string, unknown>): entries is Record<string, HeaderEntry> =>
  Object.values(entries).every((entry) => {
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Partial<Record<string, unknown>>;
    return typeof dtype === "string" && isListOfSizes(shape) && isListOfSizes(offsets) && offsets.length === 2;
  });

const isListOfSizes = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** Beside a model's own files there may be others: an adapter, the same weights in another layout. */
const unindexed = (present: ReadonlyArray<string>): ReadonlyArray<string> => {
  const files = present.filter((file) => file.endsWith(".safetensors")).toSorted();
  const own = files.filter((file) => file.startsWith("model"));
  return own.length > 0 ? own : files;
};

const indexed = (path: string): ReadonlyArray<string> => {
  try {
    const { weight_map: map } = JSON.parse(readFileSync(path, "utf8")) as { weight_map?: unknown };
    if (typeof map === "object" && map !== null) return [...new Set(Object.values(map).map(String))];
  } catch {
    // told below, as a missing map is
  }
  throw new LoadError("model.safetensors.index.json has no weight_map");
};
