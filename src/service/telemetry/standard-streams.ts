/**
 * Standard output and standard error, whose readers may leave, fall behind, or be a disk that is full. A line that cannot
 * be written is lost; that is no caller's loss.
 */

/** Of lines that wait for a reader; what comes on top of that is left out and counted. */
const maxWaitingBytes = 1024 * 1024;

/** From here on an error of either stream ends nothing. */
export const outliveReaders = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
};

let leftOut = 0;

/** Writes a line to standard error, where there is somebody to read it. */
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
