import { text } from "node:stream/consumers";

/**
 * The text of an argument: standard input for `-`, or where there is none and something is piped in; undefined where
 * there is nothing to read. The line end that a pipe's text ends with does not belong to it.
 */
export const readText = async (argument: string | undefined): Promise<string | undefined> => {
  if (argument !== undefined && argument !== "-") return argument;
  if (argument === undefined && process.stdin.isTTY) return undefined;
  return (await text(process.stdin)).replace(/\r?\n$/, "");
};
