/**
 * Standard output and standard error, whose readers may leave or fall behind, or which may be files on a full disk. A
 * line that cannot be written is dropped; no call fails because of it.
 */

/** The most bytes of waiting lines; further lines are dropped and counted. */
const maxWaitingBytes = 1024 * 1024;

/** From now on an error of either stream does not end the process. */
export const outliveReaders = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
};

let leftOut = 0;

/** Writes a line to standard error if it has a reader. */
export const writeLogLine = (line: string): void => {
  const { stderr } = process;
  if (!stderr.writable) return;
  if (stderr.writableLength > maxWaitingBytes) {
    leftOut += 1;
    return;
  }
  if (leftOut > 0) stderr.write(`${leftOut} lines are left out, as the reader of this log fell behind\n`);
  leftOut = 0;
  stderr.write(`${line}\n`);
};
