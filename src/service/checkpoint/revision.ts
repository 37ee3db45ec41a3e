/** Computes a model's revision: a digest that changes with its files. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

import { CheckpointInvalid, openRegular, readBytes, readOptional } from "./checkpoint-files.ts";
import { originFile, readOrigin } from "./origin-file.ts";
import { readHeader, weightFiles } from "./safetensors.ts";

/** The files besides the weights that determine a model's prompts and how its output is read. */
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

/** Weights up to this total size are hashed completely. */
const wholeMaxBytes = 32 * 1024 ** 2;
/** Of larger tensors this many blocks are hashed, at equal distances, including the first and the last. */
const samples = 64;
const sampleBytes = 4096;
/** How much is hashed before the event loop gets a turn. */
const pieceBytes = 1024 ** 2;

/**
 * Twelve hexadecimal digits of a hash over the plain files and the weights. For large weights the hash covers the
 * headers, sizes and samples of the tensors, and either the commit, for an unmodified download, or the time of the last
 * change. So the same download has the same revision on every machine; for other files, every change is detected except
 * one that keeps the size, the time of change and all samples.
 *
 * Throws CheckpointInvalid.
 */
export const readRevision = async (directory: string): Promise<string> => {
  const hash = createHash("sha256");
  for (const file of plainFiles) {
    const content = await readOptional(directory, file);
    // Includes the length, so that no byte can move from one file to the next, and a missing file differs from an empty
    // one.
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
 * A cheap indication of whether a folder may have changed: the directory entries of all its files. Undefined if the
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

/** The commit and time of a download. */
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
