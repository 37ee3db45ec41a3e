/** Writes values as text: Python's str and repr, and JSON as Python's json.dumps writes it. */
import {
  Callable,
  compareTexts,
  isDict,
  isList,
  Helper,
  Namespace,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

/** As a template writes it. */
export const str = (value: Value): string => {
  if (typeof value === "string") return value;
  return value instanceof Undefined ? "" : repr(value);
};

export const repr = (value: Value): string => {
  if (value === null) return "None";
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "bigint":
      return value.toString();
    case "number":
      return floatText(value);
    case "string":
      return quoted(value);
    default:
      return reprOfObject(value);
  }
};

const reprOfObject = (value: Exclude<Value, null | boolean | bigint | number | string>): string => {
  if (isList(value)) return `[${value.map(repr).join(", ")}]`;
  if (isDict(value)) return `{${[...value].map(([key, member]) => `${repr(key)}: ${repr(member)}`).join(", ")}}`;
  if (value instanceof Tuple) {
    const { items } = value;
    return items.length === 1 ? `(${items.map(repr).join()},)` : `(${items.map(repr).join(", ")})`;
  }
  if (value instanceof View) {
    if (value.kind === "generator") return "<generator object>";
    if (value.kind === "range") return rangeText(value.items);
    return `${value.kind}([${value.items.map(repr).join(", ")}])`;
  }
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Namespace) return `<Namespace ${repr(value.members)}>`;
  return value instanceof Callable ? `<function ${value.name}>` : value instanceof Helper ? "<helper>" : "";
};

const rangeText = (items: ReadonlyArray<Value>): string => {
  const [first = 0n, second] = items as ReadonlyArray<bigint>;
  const step = second === undefined ? 1n : second - first;
  const stop = first + step * BigInt(items.length);
  return `range(${first}, ${stop}${step === 1n ? "" : `, ${step}`})`;
};

/** The shortest text that reads back as the same number, in Python's format: 1.0, 1e+16, 1e-05. */
export const floatText = (value: number): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa = "0", power = "0"] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
};

const quoted = (text: string): string => {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll(/[\\'"]|[\p{C}\p{Z}]/gu, (character) => {
    if (character === quote || character === "\\") return `\\${character}`;
    if (character === " " || character === "'" || character === '"') return character;
    const known = namedEscapes[character];
    if (known !== undefined) return known;
    const code = character.codePointAt(0) ?? 0;
    if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return quote + inner + quote;
};

const namedEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export interface JsonForm {
  readonly ensureAscii: boolean;
  /** The indentation of each level; undefined to write everything on one line. */
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

export const jsonText = (value: Value, form: JsonForm, level = 0): string => {
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return jsonFloat(value);
  if (typeof value === "string") return jsonString(value, form.ensureAscii);
  const inner = (each: Value): string => jsonText(each, form, level + 1);
  const sequence = isList(value) ? value : value instanceof Tuple ? value.items : undefined;
  if (sequence !== undefined) return bracketed("[", sequence.map(inner), "]", form, level);
  const members = isDict(value) ? value : value instanceof Namespace ? value.members : undefined;
  if (members === undefined) throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
  const entries: ReadonlyArray<[string, Value]> = [...members].map(([key, member]) => [jsonKey(key), member]);
  const ordered = form.sortKeys ? entries.toSorted(([a], [b]) => compareTexts(a, b)) : entries;
  const written = ordered.map(([key, member]) => jsonString(key, form.ensureAscii) + form.keySeparator + inner(member));
  return bracketed("{", written, "}", form, level);
};

const bracketed = (
  open: string,
  items: ReadonlyArray<string>,
  close: string,
  form: JsonForm,
  level: number,
): string => {
  const { indent, itemSeparator } = form;
  if (items.length === 0) return open + close;
  if (indent === undefined) return open + items.join(itemSeparator) + close;
  const line = `\n${indent.repeat(level + 1)}`;
  return `${open}${line}${items.join(itemSeparator + line)}\n${indent.repeat(level)}${close}`;
};

const jsonFloat = (value: number): string => {
  if (Number.isFinite(value)) return floatText(value);
  return Number.isNaN(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
};

const jsonString = (text: string, ensureAscii: boolean): string => {
  const json = JSON.stringify(text);
  if (!ensureAscii) return json;
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
};

const jsonKey = (key: Value): string => {
  if (typeof key === "string") return key;
  if (key === null || typeof key === "boolean" || typeof key === "bigint") return String(key);
  if (typeof key === "number") return jsonFloat(key);
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
};

/** Python's white space, which differs slightly from JavaScript's. */
const space = String.raw`[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const leading = new RegExp(`^${space}+`);
const blank = new RegExp(`^${space}$`);
export const spaces = new RegExp(`${space}+`, "g");

export const isSpace = (character: string): boolean => blank.test(character);

export const stripStart = (text: string, characters?: string): string => {
  if (characters === undefined) return text.replace(leading, "");
  const units = [...text];
  const from = units.findIndex((unit) => !characters.includes(unit));
  return from < 0 ? "" : units.slice(from).join("");
};

export const stripEnd = (text: string, characters?: string): string => {
  if (characters !== undefined) {
    const units = [...text];
    const last = units.findLastIndex((unit) => !characters.includes(unit));
    return units.slice(0, last + 1).join("");
  }
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1] ?? "")) end -= 1;
  return text.slice(0, end);
};

export const strip = (text: string, characters?: string): string => stripEnd(stripStart(text, characters), characters);

const lineEnds = new RegExp(String.raw`\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]`, "g");

/** Splits at every line boundary that Python recognises. */
export const splitLines = (text: string, keepEnds = false): ReadonlyArray<string> => {
  const lines: string[] = [];
  let from = 0;
  for (const { 0: end, index } of text.matchAll(lineEnds)) {
    lines.push(text.slice(from, keepEnds ? index + end.length : index));
    from = index + end.length;
  }
  return from < text.length ? [...lines, text.slice(from)] : lines;
};
