/** Which model a folder holds: a digest that changes with its files. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

import { CheckpointInvalid, openRegular, readBytes, readOptional } from "./checkpoint-files.ts";
import { originFile, readOrigin } from "./origin-file.ts";
import { readHeader, weightFiles } from "./safetensors.ts";

/** What a model consists of beside its weights: all that decides what it is asked and how its answers are read. */
const plainFiles: ReadonlyArray<string> = [
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "generation_config.json",
  "chat_template.jinja",
  "chat_template.json",
  "model.safetensors.index.json",
  "modules.json",
  "1_Pooling/config.json",
];

/** Weights of this many bytes together are read to the last one. */
const wholeMaxBytes = 32 * 1024 ** 2;
/** Of a larger file's tensors so many blocks are read, at equal distances, the first and the last among them. */
const samples = 64;
const sampleBytes = 4096;
/** Hashed without a turn of the event loop. */
const pieceBytes = 1024 ** 2;

/**
 * Twelve hexadecimal digits over the bytes of the plain files and the weights. Of larger weights they cover the headers,
 * the sizes and samples of the tensors; and the commit, of a download that was not touched since, or else the time at
 * which the file was changed last. So the same download has the same revision on every machine, and of other files each
 * change is seen but one that leaves the size, the time of change and all samples as they were.
 *
 * Throws CheckpointInvalid.
 */
export const readRevision = async (directory: string): Promise<string> => {
  const hash = createHash("sha256");
  for (const file of plainFiles) {
    const content = await readOptional(directory, file);
    // With its length, so that no byte can pass from one file to the next; a missing one is not an empty one.
    hash.update(`${file} ${content?.length ?? "none"}:`);
    if (content !== undefined) await updateInTurns(hash, content);
  }
  const files = await weightFiles(directory);
  const sizes = await Promise.all(files.map(async (file) => (await statOf(directory, file)).size));
  const isWhole = sizes.reduce((sum, size) => sum + size, 0n) <= wholeMaxBytes;
  const origin = isWhole ? undefined : await findOrigin(directory);
  for (const file of files) {
    const { size, mtimeNs } = await statOf(directory, file);
    hash.update(`${file} ${size}:`);
    if (!isWhole) {
      const isUntouched = origin !== undefined && mtimeNs <= origin.writtenAt;
      hash.update(isUntouched ? `commit ${origin.commit}:` : `changed ${mtimeNs}:`);
      await updateInTurns(hash, (await readHeader(directory, file)).header);
    }
    await withFile(directory, file, (handle) =>
      isWhole ? updateWhole(hash, handle, Number(size)) : updateSampled(hash, handle, Number(size)),
    );
  }
  return hash.digest("hex").slice(0, 12);
};

/**
 * What tells cheaply whether a folder may have changed: the state of every file by its directory entry. Undefined where the
 * folder cannot be read.
 */
export const readStamp = async (directory: string): Promise<string | undefined> => {
  try {
    const files = [...plainFiles, ...(await weightFiles(directory).catch(() => []))];
    const states = await Promise.all(
      files.map((file) =>
        stat(join(directory, file), { bigint: true }).then(
          ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(" "),
          () => "none",
        ),
      ),
    );
    return states.join("\n");
  } catch {
    return undefined;
  }
};

/** When a download was put together, and of what. */
const findOrigin = async (directory: string) => {
  const origin = await readOrigin(directory);
  if (origin === undefined) return undefined;
  return { commit: origin.commit, writtenAt: (await statOf(directory, originFile)).mtimeNs };
};

const statOf = async (directory: string, file: string) => {
  try {
    return await stat(join(directory, file), { bigint: true });
  } catch {
    throw new CheckpointInvalid(file, "is missing");
  }
};

const withFile = async (directory: string, file: string, use: (handle: FileHandle) => Promise<void>): Promise<void> => {
  const handle = await openRegular(directory, file);
  if (handle === undefined) throw new CheckpointInvalid(file, "is missing");
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
};

const updateWhole = async (hash: Hash, handle: FileHandle, size: number): Promise<void> => {
  for (let at = 0; at < size; at += pieceBytes) hash.update(await readBytes(handle, at, pieceBytes));
};

const updateSampled = async (hash: Hash, handle: FileHandle, size: number): Promise<void> => {
  const distance = Math.max(0, size - sampleBytes) / (samples - 1);
  for (let index = 0; index < samples; index++) {
    hash.update(await readBytes(handle, Math.floor(index * distance), sampleBytes));
  }
};

const updateInTurns = async (hash: Hash, content: Uint8Array): Promise<void> => {
  for (let at = 0; at < content.length; at += pieceBytes) {
    hash.update(content.subarray(at, at + pieceBytes));
    if (at + pieceBytes < content.length) await turn();
  }
};
