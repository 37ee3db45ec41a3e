/** Finds the end of a tool call's text. Both readers buffer the text until they have found it. */
import { JsonTracker } from "./json-text.ts";

interface Body {
  readonly body: string;
  /** The marker that closed the body; empty if the marker begins `rest`, or if there was none. */
  readonly closer: string;
  /** The text after the body, unread. */
  readonly rest: string;
}

export interface BodyReader {
  /** Undefined while the body continues. */
  readonly push: (text: string) => Body | undefined;
  /** The output ended before the body did. */
  readonly end: () => Body & { readonly closed: boolean };
}

/**
 * The body ends at one of the markers. The marker belongs to neither side, unless it is in `kept`: then it begins
 * `rest`. As long as the body can be JSON, a marker within a JSON string is part of the string.
 */
export const createMarkedBody = (closers: ReadonlyArray<string>, kept: ReadonlyArray<string> = []): BodyReader => {
  const markers = [...closers, ...kept];
  const strings = new JsonTracker();
  let text = "";
  let read = 0;
  /** The end of the last JSON string; markers are searched for from there. */
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
    // An unclosed quote may have hidden the marker.
    end: () => {
      const found = first();
      return found === undefined ? { body: text, closer: "", rest: "", closed: false } : { ...found, closed: true };
    },
  };
};

/** The body is one JSON object or array; its text begins with the opening bracket. */
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
