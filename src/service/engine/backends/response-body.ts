/**
 * Reads the bodies of a server's responses. The server determines their length, the length of their lines and how long
 * they take, so all of these are bounded.
 */
import type { Dispatcher } from "undici";

import { AnswerUnreadable } from "./problems.ts";

type Body = Dispatcher.ResponseData["body"];

/** The text of a body, piece by piece. Throws AnswerUnreadable if it is not UTF-8. */
export async function* decoded(body: Body): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const bytes of body as AsyncIterable<Uint8Array>) yield decode(decoder, bytes);
  yield decode(decoder);
}

const decode = (decoder: InstanceType<typeof TextDecoder>, bytes?: Uint8Array): string => {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch {
    throw new AnswerUnreadable("it is not UTF-8");
  }
};

/** The lines of a body, without empty ones. Throws AnswerUnreadable if a line is too long. */
export async function* linesOf(body: Body): AsyncGenerator<string> {
  // The pieces of the line that is not complete yet. They are joined once, as a line may come in very many.
  let pieces: string[] = [];
  let characters = 0;
  const add = (piece: string) => {
    pieces.push(piece);
    characters += piece.length;
    if (characters > mostLineCharacters) {
      throw new AnswerUnreadable(`a line of it is longer than ${mostLineCharacters} characters`);
    }
  };
  const take = (): string => {
    const line = pieces.join("").replace(/\r$/, "");
    pieces = [];
    characters = 0;
    return line;
  };
  for await (const text of decoded(body)) {
    const [first = "", ...others] = text.split("\n");
    add(first);
    for (const piece of others) {
      const line = take();
      if (line !== "") yield line;
      add(piece);
    }
  }
  const last = take();
  if (last !== "") yield last;
}

const mostLineCharacters = 64 * 1024;

/**
 * The text of a body, truncated if it is longer than any expected answer. Rejects if the body breaks off.
 *
 * @param longest in bytes
 */
export const shortText = async (body: Body, longest = mostBytes): Promise<string> => {
  const parts: Uint8Array[] = [];
  await collect(body, parts, longest);
  return textOf(parts, longest);
};

/** The text of an error. If the body breaks off or takes too long, the part that has arrived. */
export const beginningOf = async (body: Body): Promise<string> => {
  const parts: Uint8Array[] = [];
  const late = setTimeout(() => body.destroy(), longestMs);
  await collect(body, parts, mostBytes).catch(() => {});
  clearTimeout(late);
  return textOf(parts, mostBytes);
};

const collect = async (body: Body, parts: Uint8Array[], longest: number): Promise<void> => {
  let bytes = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    parts.push(part);
    bytes += part.length;
    if (bytes >= longest) return;
  }
};

const textOf = (parts: ReadonlyArray<Uint8Array>, longest: number): string =>
  Buffer.concat(parts).subarray(0, longest).toString();

const mostBytes = 64 * 1024;
const longestMs = 2_000;
