/**
 * Jinja templates as transformers renders those of chat models: an environment with `trim_blocks`, `lstrip_blocks`, loop
 * controls and the tag `generation`, in which no value can be changed.
 *
 * Our own, as the values of the engines there are for JavaScript are JavaScript's: they write 1.0 as 1, a long id with its
 * last digits lost, None as null and ['a'] as ["a"], and know a part of the filters and tests.
 */
import { globals } from "./globals.ts";
import { run } from "./interpreter.ts";
import { Work } from "./scope.ts";
import { parse } from "./parser.ts";
import { TemplateError, type Value } from "./values.ts";

export interface Template {
  /** Throws TemplateError where the template fails, or takes more than `work` leaves. @default all that it wants */
  readonly render: (names: Iterable<readonly [string, Value]>, work?: Work) => string;
  /** Names that it reads, its own variables and the built-in ones too. */
  readonly names: ReadonlySet<string>;
  /** Texts that stand in its expressions. */
  readonly texts: ReadonlySet<string>;
}

/** Throws TemplateError where the source is no template. */
export const compileTemplate = (source: string): Template => {
  if (source.length > longestTemplate) {
    throw new TemplateError(`the template has ${source.length} characters, of at most ${longestTemplate}`);
  }
  const body = parseBounded(source);
  const found = { names: new Set<string>(), texts: new Set<string>() };
  collect(body, found);
  return { ...found, render: (names, work = new Work(Infinity)) => run(body, [...globals, ...names], work) };
};

/** A template of a published model has some ten thousand. */
const longestTemplate = 1_048_576;

const parseBounded = (source: string): ReturnType<typeof parse> => {
  try {
    return parse(source);
  } catch (cause) {
    if (cause instanceof RangeError) throw new TemplateError("the template is nested too deep");
    throw cause;
  }
};

/** Every name and text in a part of the tree. */
const collect = (part: unknown, found: { readonly names: Set<string>; readonly texts: Set<string> }): void => {
  if (typeof part !== "object" || part === null) return;
  if ("type" in part && part.type === "name" && "name" in part) found.names.add(String(part.name));
  if ("type" in part && part.type === "constant" && "value" in part && typeof part.value === "string") {
    found.texts.add(part.value);
  }
  for (const inner of Object.values(part)) collect(inner, found);
};
