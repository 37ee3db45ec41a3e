/** Opening the files of a checkpoint, which somebody else has made: only regular files, and only so many bytes. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

import { LoadError } from "./load-error.ts";

/** Undefined when there is no such file. Throws LoadError for one that is too large, or no file. */
export const readSmallFile = (directory: string, file: string, maxBytes = 16 * 1024 ** 2): string | undefined =>
  withRegularFile(directory, file, (descriptor, size) => {
    if (size > maxBytes) throw new LoadError(`${file} has ${size} bytes; it must not have more than ${maxBytes}`);
    return readAt(descriptor, 0, size).toString("utf8");
  });

/**
 * Gives an open descriptor and the file's size to `read`. What is neither a file nor a link to one is refused: a pipe would
 * wait for a writer, a device never ends. Undefined when there is none.
 */
export const withRegularFile = <A>(
  directory: string,
  file: string,
  read: (descriptor: number, size: number) => A,
): A | undefined => {
  const path = join(directory, file);
  let descriptor: number;
  try {
    // To open a device may be an act in itself.
    if (!statSync(path).isFile()) throw new LoadError(`${file} is no regular file`);
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (cause instanceof LoadError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new LoadError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`);
  }
  try {
    const state = fstatSync(descriptor);
    // It may be another by now.
    if (!state.isFile()) throw new LoadError(`${file} is no regular file`);
    return read(descriptor, state.size);
  } finally {
    closeSync(descriptor);
  }
};

/** Fewer where the file ends before. */
export const readAt = (descriptor: number, position: number, length: number): Buffer => {
  const buffer = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const bytes = readSync(descriptor, buffer, read, length - read, position + read);
    if (bytes === 0) break;
    read += bytes;
  }
  return buffer.subarray(0, read);
};
