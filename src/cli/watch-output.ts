/** Ends a command when its output can no longer be written. */
import { note } from "./print.ts";

/**
 * Ends the process if standard output or standard error fails: with success if the reader has left (`mlxd generate ...
 * | head`), otherwise, e.g. on a full disk, with exit code 1 and one line.
 */
export const watchOutput = (): void => {
  process.stdout.on("error", onOutputError);
  process.stderr.on("error", onNotesError);
};

/** Stops watching the output. */
export const unwatchOutput = (): void => {
  process.stdout.off("error", onOutputError);
  process.stderr.off("error", onNotesError);
};

const onOutputError = ({ code, message }: NodeJS.ErrnoException): void => {
  if (code === "EPIPE") process.exit(0);
  note(`cannot write: ${code ?? message}`);
  process.exit(1);
};

/** Nobody can be told. If only standard error was closed, the result is still delivered. */
const onNotesError = ({ code }: NodeJS.ErrnoException): void => {
  if (code !== "EPIPE") process.exit(1);
};
