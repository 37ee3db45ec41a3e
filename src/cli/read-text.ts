import { buffer } from "node:stream/consumers";
import { CommandFailed } from "./failures.ts";

/**
 * The text of an argument. `-` reads standard input, as does a missing argument if something is piped in; undefined if
 * there is nothing to read. The final line break of piped text is dropped.
 */
export const readText = async (argument: string | undefined): Promise<string | undefined> => {
  if (argument !== undefined && argument !== "-") return argument;
  if (argument === undefined && process.stdin.isTTY) return undefined;
  return decode(await readInput()).replace(/\r?\n$/, "");
};

const readInput = (): Promise<Uint8Array> =>
  buffer(process.stdin).catch(({ code, message }: NodeJS.ErrnoException) => {
    throw new CommandFailed(`cannot read standard input: ${code ?? message}`);
  });

const decode = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new CommandFailed("standard input is not UTF-8 text; iconv converts other encodings");
  }
};
