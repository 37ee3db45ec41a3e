import { protocolError } from "./errors.ts";

/** One page of a list, and the token of the next one; empty for the last page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string;
}

/** The items of a list that the service returns page by page. */
export async function* pages<T>(pageAt: (pageToken: string) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  for (let pageToken = ""; ;) {
    const { items, next } = await pageAt(pageToken);
    yield* items;
    if (next === "") return;
    if (next === pageToken) throw protocolError("a page is followed by itself");
    pageToken = next;
  }
}

/** The whole list. */
export const allPages = async <T>(pageAt: (pageToken: string) => Promise<Page<T>>): Promise<readonly T[]> => {
  const all: T[] = [];
  for await (const item of pages(pageAt)) all.push(item);
  return all;
};
