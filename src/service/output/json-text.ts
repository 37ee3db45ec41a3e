/** Finds values in JSON text, so that they can be passed on exactly as the model wrote them. */

/**
 * The objects of a sequence or array of JSON objects, separated by white space, commas or semicolons. Undefined if the
 * text is anything else.
 */
export const jsonObjects = (text: string): ReadonlyArray<string> | undefined => {
  const body = text.trim();
  if (!body.startsWith("[")) return rowOfObjects(body);
  return body.endsWith("]") && isJson(body) ? rowOfObjects(body.slice(1, -1)) : undefined;
};

const rowOfObjects = (body: string): ReadonlyArray<string> | undefined => {
  const objects: string[] = [];
  for (let at = skip(body, 0, separators); at < body.length; at = skip(body, at, separators)) {
    const end = valueEnd(body, at);
    const object = body.slice(at, end);
    if (!object.startsWith("{") || !isJson(object)) return undefined;
    objects.push(object);
    at = end;
  }
  return objects.length > 0 ? objects : undefined;
};

/**
 * The members of a valid JSON object, each value as its own text. Of several members with one name the last counts, as
 * in JSON.parse.
 */
export const jsonMembers = (object: string): ReadonlyMap<string, string> => {
  const members = new Map<string, string>();
  let at = skip(object, object.indexOf("{") + 1, separators);
  while (object[at] === '"') {
    const keyEnd = valueEnd(object, at);
    const start = skip(object, keyEnd, /[\s:]/);
    const end = valueEnd(object, start);
    members.set(String(JSON.parse(object.slice(at, keyEnd))), object.slice(start, end));
    at = skip(object, end, separators);
  }
  return members;
};

/** Tracks the structure of JSON that arrives in pieces. */
export class JsonTracker {
  /** Number of open objects and arrays. */
  depth = 0;
  inString = false;
  /** The text cannot be JSON: a line ended within a string. */
  broken = false;
  private escaped = false;

  /** @param unit the next UTF-16 unit */
  next(unit: string): void {
    if (this.inString) {
      if (unit === "\n") this.broken = true;
      if (this.escaped) this.escaped = false;
      else if (unit === "\\") this.escaped = true;
      else if (unit === '"') this.inString = false;
    } else if (unit === '"') this.inString = true;
    else if (unit === "{" || unit === "[") this.depth += 1;
    else if (unit === "}" || unit === "]") this.depth -= 1;
  }
}

export const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const separators = /[\s,;]/;

const skip = (text: string, from: number, what: RegExp): number => {
  let at = from;
  while (what.test(text[at] ?? "")) at++;
  return at;
};

/** Where the value that begins at `from` ends; the length of the text if it does not end. */
export const valueEnd = (text: string, from: number): number => {
  const tracker = new JsonTracker();
  const isNested = /["{[]/.test(text[from] ?? "");
  for (let at = from; at < text.length; at++) {
    const unit = text[at] ?? "";
    if (!isNested && /[\s,;}\]]/.test(unit)) return at;
    tracker.next(unit);
    if (isNested && tracker.depth <= 0 && !tracker.inString) return at + 1;
  }
  return text.length;
};
