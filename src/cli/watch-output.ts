/** What becomes of a command when its output can no longer be written. */
import { note } from "./print.ts";

/**
 * Ends the process where standard output or standard error breaks: well where the reader has left (`mlxd generate ... |
 * head`: it has what it wants), with exit code 1 and one line for anything else, such as a full disk.
 */
export const watchOutput = (): void => {
  process.stdout.on("error", onOutputError);
  process.stderr.on("error", onNotesError);
};

/** Leaves the output to somebody else. */
export const unwatchOutput = (): void => {
  process.stdout.off("error", onOutputError);
  process.stderr.off("error", onNotesError);
};

const onOutputError = ({ code, message }: NodeJS.ErrnoException): void => {
  if (code === "EPIPE") process.exit(0);
  note(`cannot write: ${code ?? message}`);
  process.exit(1);
};

/** Nobody is left to tell. Who only closed standard error still gets the result. */
const onNotesError = ({ code }: NodeJS.ErrnoException): void => {
  if (code !== "EPIPE") process.exit(1);
};
