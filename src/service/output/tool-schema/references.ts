/** Resolves references within a JSON Schema: `#`, `#/a/pointer` and `#anchor`. Nothing is ever fetched. */
import { isObject, type JsonObject } from "../json-object.ts";

/** The target of a reference; undefined if there is none. */
export type Resolve = (reference: string) => unknown;

export const createResolver = (root: JsonObject): Resolve => {
  const base = typeof root["$id"] === "string" ? root["$id"].replace(/#$/, "") : "";
  let anchors: ReadonlyMap<string, JsonObject> | undefined;
  return (reference) => {
    const local = base !== "" && reference.startsWith(base) ? reference.slice(base.length) : reference;
    if (local === "" || local === "#") return root;
    if (!local.startsWith("#")) return undefined;
    const fragment = decode(local.slice(1));
    if (fragment === undefined) return undefined;
    if (fragment.startsWith("/")) return follow(root, fragment);
    anchors ??= anchorsOf(root);
    return anchors.get(fragment);
  };
};

const follow = (root: JsonObject, pointer: string): unknown => {
  let found: unknown = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as JsonObject)[key];
  }
  return found;
};

const anchorsOf = (root: JsonObject): ReadonlyMap<string, JsonObject> => {
  const anchors = new Map<string, JsonObject>();
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== "object" || value === null) continue;
    if (isObject(value) && typeof value["$anchor"] === "string") anchors.set(value["$anchor"], value);
    for (const member of Object.values(value)) open.push(member);
  }
  return anchors;
};

const decode = (fragment: string): string | undefined => {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return undefined;
  }
};
