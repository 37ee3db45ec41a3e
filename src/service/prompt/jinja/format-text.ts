/** Python's two ways to format values into a text: `"%s" % value` and `"{}".format(value)`. */
import { within } from "./arguments.ts";
import { repr, str } from "./python-text.ts";
import { isDict, isNumber, TemplateError, Tuple, type Value } from "./values.ts";

/** @param values one value, a tuple of them, or a dict for `%(name)s` */
export const formatPercent = (text: string, values: Value): string => {
  const positional = values instanceof Tuple ? values.items : [values];
  let next = 0;
  const written = text.replaceAll(
    /%(?:\(([^)]*)\))?([-+ 0#]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (_, name: string | undefined, flags: string, width: string, precision: string | undefined, kind: string) => {
      if (kind === "%") return "%";
      const value = name !== undefined && isDict(values) ? values.get(name) : positional[next++];
      if (value === undefined) throw new TemplateError("not enough arguments for format string");
      return padded(formatOne(value, kind, precision), flags, within(Number(width), "%"));
    },
  );
  if (!isDict(values) && next < positional.length) {
    throw new TemplateError("not all arguments converted during string formatting");
  }
  return written;
};

const formatOne = (value: Value, kind: string, precision: string | undefined): string => {
  switch (kind) {
    case "s":
      return str(value).slice(0, precision === undefined ? undefined : Number(precision));
    case "r":
      return repr(value);
    case "d":
    case "i":
      return String(wholePart(value));
    case "f":
    case "F":
      return numberOf(value).toFixed(Math.min(100, Number(precision ?? 6)));
    case "x":
      return wholePart(value).toString(16);
    default:
      throw new TemplateError(`unsupported format character '${kind}'`);
  }
};

const padded = (text: string, flags: string, width: number): string => {
  const signed = flags.includes("+") && /^\d/.test(text) ? `+${text}` : text;
  if (flags.includes("-")) return signed.padEnd(width);
  if (!flags.includes("0")) return signed.padStart(width);
  const sign = /^[-+]/.exec(signed)?.[0] ?? "";
  return sign + signed.slice(sign.length).padStart(width - sign.length, "0");
};

const numberOf = (value: Value): number => {
  if (!isNumber(value)) throw new TemplateError("a number is required");
  return Number(value);
};

const wholePart = (value: Value): bigint => {
  if (typeof value === "bigint") return value;
  return BigInt(Math.trunc(numberOf(value)));
};

/** Fields by number, by name or in order, with width, alignment and number format. */
export const formatBraces = (
  text: string,
  positional: ReadonlyArray<Value>,
  named: ReadonlyMap<string, Value>,
): string => {
  let next = 0;
  if (/\{[!:}]/.test(text) && /\{\d/.test(text)) {
    throw new TemplateError("cannot switch from manual field specification to automatic field numbering");
  }
  return text.replaceAll(
    /\{\{|\}\}|\{([^{}:!]*)(?:!([rs]))?(?::([^{}]*))?\}/g,
    (whole, field: string | undefined, conversion: string | undefined, form: string | undefined) => {
      if (field === undefined) return whole[0] ?? "";
      const index = field === "" ? next++ : Number(field);
      const value = Number.isInteger(index) ? positional[index] : named.get(field);
      if (value === undefined) throw new TemplateError(`there is no value for the field "${field.slice(0, 40)}"`);
      return formatted(conversion === "r" ? repr(value) : value, form ?? "");
    },
  );
};

const formatted = (value: Value, form: string): string => {
  const found = /^(?:(.)?([<>^]))?(0?)(\d*)(,?)(?:\.(\d+))?([dfsx]?)$/.exec(form);
  if (found === null) throw new TemplateError(`the format "${form.slice(0, 40)}" is not supported`);
  const [, fill = " ", align = "", zero = "", width = "", comma = "", precision, kind = ""] = found;
  const plain =
    kind === "" || kind === "s"
      ? str(value).slice(0, precision === undefined ? undefined : Number(precision))
      : formatOne(value, kind, precision);
  const text = comma === "" ? plain : plain.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const room = within(Number(width), "format") - [...text].length;
  if (room <= 0) return text;
  const filler = zero === "" ? fill : "0";
  if (align === "^") return filler.repeat(Math.floor(room / 2)) + text + filler.repeat(Math.ceil(room / 2));
  const isRight = align === ">" || zero !== "" || (align === "" && isNumber(value));
  return isRight ? filler.repeat(room) + text : text + filler.repeat(room);
};
