/** Opens the files of a checkpoint, which are untrusted: only regular files of bounded size are read. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

import { LoadError } from "./load-error.ts";

/** Undefined if the file does not exist. Throws LoadError if it is too large or not a regular file. */
export const readSmallFile = (directory: string, file: string, maxBytes = 16 * 1024 ** 2): string | undefined =>
  withRegularFile(directory, file, (descriptor, size) => {
    if (size > maxBytes) throw new LoadError(`${file} has ${size} bytes; it must not have more than ${maxBytes}`);
    return readAt(descriptor, 0, size).toString("utf8");
  });

/**
 * Passes an open descriptor and the file's size to `read`. Anything but a regular file or a link to one is refused:
 * reading a pipe would wait for a writer, and a device may never end. Undefined if there is none.
 */
export const withRegularFile = <A>(
  directory: string,
  file: string,
  read: (descriptor: number, size: number) => A,
): A | undefined => {
  const path = join(directory, file);
  let descriptor: number;
  try {
    // Opening a device may have side effects.
    if (!statSync(path).isFile()) throw new LoadError(`${file} is no regular file`);
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (cause instanceof LoadError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new LoadError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`);
  }
  try {
    const state = fstatSync(descriptor);
    // It may have been replaced meanwhile.
    if (!state.isFile()) throw new LoadError(`${file} is no regular file`);
    return read(descriptor, state.size);
  } finally {
    closeSync(descriptor);
  }
};

/** Returns fewer bytes if the file ends earlier. */
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
