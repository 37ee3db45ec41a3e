/**
 * Reads the headers of safetensors files, which list a checkpoint's tensors.
 * https://github.com/huggingface/safetensors#format
 */
import { readdir } from "node:fs/promises";
import { Schema } from "effect";

import {
  CheckpointInvalid,
  isLfsPointer,
  lfsProblem,
  openRegular,
  readBytes,
  readOptional,
} from "./checkpoint-files.ts";
import { decodeJson, JsonObject } from "./decode-json.ts";

export interface TensorHeader {
  readonly dtype: string;
  readonly shape: ReadonlyArray<number>;
}

export interface WeightsHeader {
  readonly tensors: ReadonlyMap<string, TensorHeader>;
  /** Bytes of all tensors as stored. */
  readonly storedBytes: number;
}

/** Of the files that the index names, or of all files. Reads no weights. */
export const readWeightsHeader = async (directory: string): Promise<WeightsHeader> => {
  const tensors = new Map<string, TensorHeader>();
  let storedBytes = 0;
  for (const file of await weightFiles(directory)) {
    const { header, dataBytes } = await readHeader(directory, file);
    storedBytes += dataBytes;
    for (const [name, tensor] of decodeHeader(file, header)) {
      if (tensor.data_offsets[1] > dataBytes)
        throw new CheckpointInvalid(file, `is truncated: tensor ${name} is cut off`);
      tensors.set(name, tensor);
    }
  }
  return { tensors, storedBytes };
};

/** Of one file. */
export const readTensorHeaders = async (
  directory: string,
  file: string,
): Promise<{ readonly tensors: ReadonlyMap<string, TensorHeader>; readonly raw: Uint8Array }> => {
  const { header } = await readHeader(directory, file);
  return { tensors: new Map(decodeHeader(file, header)), raw: header };
};

const indexFile = "model.safetensors.index.json";
const IndexJson = Schema.Struct({ weight_map: Schema.Record(Schema.String, Schema.String) });

/** The files that the index names, sorted; undefined if there is no index. Throws CheckpointInvalid. */
export const indexedFiles = async (directory: string): Promise<ReadonlyArray<string> | undefined> => {
  const index = await readOptional(directory, indexFile);
  return index && [...new Set(Object.values(decodeJson(indexFile, index, IndexJson).weight_map))].toSorted();
};

/** The files that the index names, or all files of the model. Throws CheckpointInvalid. */
export const weightFiles = async (directory: string): Promise<ReadonlyArray<string>> => {
  const named = await indexedFiles(directory);
  const present = (await readdir(directory)).filter((file) => file.endsWith(".safetensors"));
  if (named === undefined) {
    if (present.length === 0) throw new CheckpointInvalid("model.safetensors", "is missing");
    // There may be other files beside a model's own, e.g. the same weights in another layout.
    const own = present.filter((file) => file.startsWith("model"));
    return (own.length > 0 ? own : present).toSorted();
  }
  const missing = named.find((file) => !present.includes(file));
  if (missing !== undefined) throw new CheckpointInvalid(indexFile, `names ${missing}, which is missing`);
  if (named.length === 0) throw new CheckpointInvalid(indexFile, "names no file");
  return named;
};

const isTensor = Schema.is(
  Schema.Struct({
    dtype: Schema.String,
    shape: Schema.Array(Schema.Int),
    data_offsets: Schema.Tuple([Schema.Int, Schema.Int]),
  }),
);

const decodeHeader = (file: string, header: Buffer) => {
  const entries = Object.entries(decodeJson(file, header, JsonObject)).filter(([name]) => name !== "__metadata__");
  if (entries.length > mostTensors) {
    throw new CheckpointInvalid(file, `has ${entries.length} tensors; it must not have more than ${mostTensors}`);
  }
  return entries.map(([name, tensor]) => {
    if (isTensor(tensor)) return [name, tensor] as const;
    throw new CheckpointInvalid(file, `describes tensor ${name} without type, shape and place`);
  });
};

/** The same limit as the engine's, per file. */
const mostTensors = 131_072;

const prefixBytes = 8;
/** The header of a model with 100,000 tensors takes a third of this. */
const headerMaxBytes = 32 * 1024 ** 2;

/** Eight bytes of header length, little-endian, then the header as JSON, then the data. */
export const readHeader = async (directory: string, file: string): Promise<{ header: Buffer; dataBytes: number }> => {
  const handle = await openRegular(directory, file);
  if (handle === undefined) throw new CheckpointInvalid(file, "is missing");
  try {
    const { size } = await handle.stat();
    const prefix = await readBytes(handle, 0, prefixBytes);
    const broken = isLfsPointer(await readBytes(handle, 0, 64)) ? lfsProblem : "is truncated or not a safetensors file";
    if (prefix.length < prefixBytes) throw new CheckpointInvalid(file, broken);
    const length = Number(prefix.readBigUInt64LE());
    const dataBytes = size - prefixBytes - length;
    if (dataBytes < 0) throw new CheckpointInvalid(file, broken);
    if (length > headerMaxBytes) {
      throw new CheckpointInvalid(
        file,
        `has a header of ${length} bytes; it must not have more than ${headerMaxBytes}`,
      );
    }
    return { header: await readBytes(handle, prefixBytes, length), dataBytes };
  } finally {
    await handle.close();
  }
};
