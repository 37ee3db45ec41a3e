import { show } from "../check.ts";
import type { StandardIssue } from "./standard-schema.ts";

/** The result of a validation. */
export type Validated<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly Issue[]; readonly value?: undefined };

/** What is wrong with a value, and where. */
export interface Issue {
  /** The path, e.g. `items[2].price`; empty for the whole value. */
  readonly path: string;
  /** One sentence, with the value at that path. */
  readonly description: string;
}

/** Adds the values at their paths to the issues of a library. */
export const describeIssues = (issues: readonly StandardIssue[], value: unknown): readonly Issue[] =>
  issues.map(({ path = [], message }) =>
    issueAt(
      path.map((segment) => String(typeof segment === "object" ? segment.key : segment)),
      message,
      value,
    ),
  );

/** The issue at this path of a value. */
const issueAt = (path: readonly string[], message: string, value: unknown): Issue => ({
  path: path.map((key, at) => (/^\d+$/.test(key) ? `[${key}]` : at === 0 ? key : `.${key}`)).join(""),
  description: `${message}; it is ${show(valueAt(path, value))}`,
});

const valueAt = (path: readonly string[], value: unknown): unknown => {
  let found = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  return found;
};
