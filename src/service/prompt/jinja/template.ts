/**
 * Jinja templates as transformers renders them for chat models: an environment with `trim_blocks`, `lstrip_blocks`,
 * loop controls and the tag `generation`, in which no value can be modified.
 *
 * It is our own implementation because existing JavaScript engines use JavaScript's values: they write 1.0 as 1, lose
 * the last digits of long ids, write None as null and ['a'] as ["a"], and support only some of the filters and tests.
 */
import { globals } from "./globals.ts";
import { run } from "./interpreter.ts";
import { Work } from "./scope.ts";
import { parse } from "./parser.ts";
import { TemplateError, type Value } from "./values.ts";

export interface Template {
  /** Throws TemplateError if the template fails or exceeds `work`. @default unlimited */
  readonly render: (names: Iterable<readonly [string, Value]>, work?: Work) => string;
  /** All names that it reads, including its own variables and the built-in ones. */
  readonly names: ReadonlySet<string>;
  /** String literals in its expressions. */
  readonly texts: ReadonlySet<string>;
}

/** Throws TemplateError if the source is invalid. */
export const compileTemplate = (source: string): Template => {
  if (source.length > longestTemplate) {
    throw new TemplateError(`the template has ${source.length} characters, of at most ${longestTemplate}`);
  }
  const body = parseBounded(source);
  const found = { names: new Set<string>(), texts: new Set<string>() };
  collect(body, found);
  return { ...found, render: (names, work = new Work(Infinity)) => run(body, [...globals, ...names], work) };
};

/** The templates of published models have about ten thousand characters. */
const longestTemplate = 1_048_576;

const parseBounded = (source: string): ReturnType<typeof parse> => {
  try {
    return parse(source);
  } catch (cause) {
    if (cause instanceof RangeError) throw new TemplateError("the template is nested too deep");
    throw cause;
  }
};

/** Collects every name and string literal in a part of the tree. */
const collect = (part: unknown, found: { readonly names: Set<string>; readonly texts: Set<string> }): void => {
  if (typeof part !== "object" || part === null) return;
  if ("type" in part && part.type === "name" && "name" in part) found.names.add(String(part.name));
  if ("type" in part && part.type === "constant" && "value" in part && typeof part.value === "string") {
    found.texts.add(part.value);
  }
  for (const inner of Object.values(part)) collect(inner, found);
};
