/** Where the text of a tool call ends. Both readers keep what they have read until they know. */
import { JsonTracker } from "./json-text.ts";

interface Body {
  readonly body: string;
  /** The marker that closed it; empty where that begins the rest, or where there is none. */
  readonly closer: string;
  /** What follows it, unread. */
  readonly rest: string;
}

export interface BodyReader {
  /** Undefined while the body goes on. */
  readonly push: (text: string) => Body | undefined;
  /** The output is over before the body is. */
  readonly end: () => Body & { readonly closed: boolean };
}

/**
 * The body ends at one of the markers, which belongs to neither side unless it is among `kept`: those begin the rest. A
 * marker inside a JSON string is a part of the string, as long as the body can be JSON.
 */
export const createMarkedBody = (closers: ReadonlyArray<string>, kept: ReadonlyArray<string> = []): BodyReader => {
  const markers = [...closers, ...kept];
  const strings = new JsonTracker();
  let text = "";
  let read = 0;
  /** Where the last string ended: a marker begins after it. */
  let outside = 0;

  const split = (at: number, marker: string): Body =>
    kept.includes(marker)
      ? { body: text.slice(0, at), closer: "", rest: text.slice(at) }
      : { body: text.slice(0, at), closer: marker, rest: text.slice(at + marker.length) };
  const first = (): Body | undefined => {
    const found = markers
      .map((marker) => ({ marker, at: text.indexOf(marker) }))
      .filter(({ at }) => at >= 0)
      .toSorted((a, b) => a.at - b.at)[0];
    return found && split(found.at, found.marker);
  };

  return {
    push: (piece) => {
      text += piece;
      while (read < text.length && !strings.broken) {
        strings.next(text[read] ?? "");
        read += 1;
        if (strings.inString) outside = read;
        else {
          const marker = markers.find((each) => read - each.length >= outside && text.endsWith(each, read));
          if (marker !== undefined) return split(read - marker.length, marker);
        }
      }
      return strings.broken ? first() : undefined;
    },
    // Quotes that never closed may have hidden the marker.
    end: () => {
      const found = first();
      return found === undefined ? { body: text, closer: "", rest: "", closed: false } : { ...found, closed: true };
    },
  };
};

/** The body is one JSON object or array; its text begins with the bracket that opens it. */
export const createJsonBody = (): BodyReader => {
  const json = new JsonTracker();
  let text = "";
  let read = 0;
  return {
    push: (piece) => {
      text += piece;
      while (read < text.length) {
        json.next(text[read] ?? "");
        read += 1;
        if (json.depth <= 0 && !json.inString) return { body: text.slice(0, read), closer: "", rest: text.slice(read) };
      }
      return undefined;
    },
    end: () => ({ body: text, closer: "", rest: "", closed: false }),
  };
};
