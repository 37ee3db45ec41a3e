/** YAML with positions: values, and the lines that they are on. JSON is valid YAML. */
import { isPair, isScalar, LineCounter, parseDocument, Scalar, visit, type Document } from "yaml";

import { ConfigurationInvalid } from "../domain/errors.ts";

export type Path = ReadonlyArray<PropertyKey>;

export interface YamlDocument {
  readonly value: unknown;
  /** Makes the error for the value at a path, or for the key if the value has no position of its own. */
  readonly invalid: (path: Path, problem: string) => ConfigurationInvalid;
}

/**
 * Values may contain `${NAME}` and `${NAME:-default}`; the default also applies if the variable is empty; `$$` is a
 * `$`. The inserted text is always a scalar, whatever it contains. An unquoted value is then parsed again: `port:
 * ${PORT}` becomes a number.
 *
 * Throws ConfigurationInvalid.
 */
export const readYaml = (
  file: string,
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): YamlDocument => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number | undefined): number => (offset === undefined ? 0 : lines.linePos(offset).line);
  const invalid = (path: Path, problem: string): ConfigurationInvalid =>
    new ConfigurationInvalid({ file, line: lineOf(offsetOf(document, path)), key: formatPath(path), problem });

  const [error] = document.errors;
  if (error !== undefined) {
    throw new ConfigurationInvalid({ file, line: lineOf(error.pos[0]), key: "", problem: firstLine(error.message) });
  }
  visit(document, {
    Scalar: (position, node) => {
      if (position === "key" || typeof node.value !== "string" || !node.value.includes("$")) return;
      const replaced = substitute(node.value, environment);
      if (replaced.missing !== undefined) {
        const problem = `the variable ${replaced.missing} is not set; \${${replaced.missing}:-default} gives it a value`;
        throw new ConfigurationInvalid({ file, line: lineOf(node.range?.[0]), key: keyOf(document, node), problem });
      }
      node.value = node.type === Scalar.PLAIN ? plainValue(replaced.text) : replaced.text;
    },
  });
  try {
    // An empty file counts as no configuration. Aliases that multiply are refused.
    return { value: document.toJS({ maxAliasCount: 100 }) ?? {}, invalid };
  } catch (cause) {
    throw new ConfigurationInvalid({
      file,
      line: 0,
      key: "",
      problem: cause instanceof Error ? firstLine(cause.message) : "it is not YAML",
    });
  }
};

const substitute = (
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly text: string; readonly missing: string | undefined } => {
  let missing: string | undefined;
  const replaced = text.replaceAll(
    /\$\$|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g,
    (whole, name: string | undefined, fallback: string | undefined) => {
      if (name === undefined) return whole === "$$" ? "$" : whole;
      const value = environment[name];
      if (fallback !== undefined && (value === undefined || value === "")) return fallback;
      if (value === undefined) missing ??= name;
      return value ?? "";
    },
  );
  return { text: replaced, missing };
};

/** A number or boolean if the text is one; never a list or a map. */
const plainValue = (text: string): unknown => {
  const { contents, errors } = parseDocument(text);
  return errors.length === 0 && isScalar(contents) && contents.type === Scalar.PLAIN ? contents.value : text;
};

/** The position of the innermost existing part of the path: of its key in a map. */
const offsetOf = (document: Document.Parsed, path: Path): number | undefined => {
  for (let length = path.length; length > 0; length--) {
    const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const items: ReadonlyArray<unknown> = isCollection(parent) ? parent.items : [];
    const pair = items.find((item) => isPair(item) && String(item.key) === String(last));
    const node = isPair(pair) ? pair.key : typeof last === "number" ? items[last] : undefined;
    const range = rangeOf(node);
    if (range !== undefined) return range[0];
  }
  return rangeOf(document.contents)?.[0] ?? 0;
};

const isCollection = (node: unknown): node is { readonly items: ReadonlyArray<unknown> } =>
  typeof node === "object" && node !== null && "items" in node && Array.isArray(node.items);

const rangeOf = (node: unknown): readonly [number, number, number] | undefined =>
  typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)
    ? (node.range as unknown as readonly [number, number, number])
    : undefined;

/** The path of a scalar, found by searching; only used for errors. */
const keyOf = (document: Document.Parsed, wanted: Scalar): string => {
  let found = "";
  visit(document, {
    Scalar: (position, node, ancestors) => {
      if (node !== wanted) return undefined;
      const keys = ancestors.flatMap((ancestor) => (isPair(ancestor) ? [String(ancestor.key)] : []));
      found = formatPath(typeof position === "number" ? [...keys, position] : keys);
      return visit.BREAK;
    },
  });
  return found;
};

/** `models.demo.aliases[0]`. */
const formatPath = (path: Path): string =>
  path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");

const firstLine = (message: string): string => message.split("\n", 1)[0] ?? message;
