/** Python's operators. */
import { within } from "./arguments.ts";
import { formatPercent } from "./format-text.ts";
import type { Comparison, Expression } from "./nodes.ts";
import { str } from "./python-text.ts";
import {
  compare,
  equal,
  isDict,
  isList,
  isNumber,
  itemsOf,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

type Operator = Exclude<Extract<Expression, { type: "binary" }>["operator"], "and" | "or">;

export const calculate = (operator: Operator, left: Value, right: Value): Value => {
  if (operator === "~") return str(left) + str(right);
  for (const each of [left, right]) if (each instanceof Undefined) throw new TemplateError(each.problem);
  if (operator === "%" && typeof left === "string") return formatPercent(left, right);
  if (isNumber(left) && isNumber(right)) return ofNumbers(operator, left, right);
  if (operator === "+") {
    if (typeof left === "string" && typeof right === "string") return left + right;
    if (isList(left) && isList(right)) return [...left, ...right];
    if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
  }
  if (operator === "*") {
    const [times, of] = isWhole(left) ? [left, right] : [right, left];
    if (isWhole(times) && (typeof of === "string" || isList(of))) {
      const count = Math.max(0, Number(times));
      within(count * of.length, "*");
      return typeof of === "string" ? of.repeat(count) : Array.from({ length: count }, () => of).flat();
    }
  }
  const types = `'${typeName(left)}' and '${typeName(right)}'`;
  throw new TemplateError(`unsupported operand type(s) for ${operator}: ${types}`);
};

const isWhole = (value: Value): value is bigint => typeof value === "bigint";

const ofNumbers = (
  operator: Exclude<Operator, "~">,
  a: bigint | number | boolean,
  b: bigint | number | boolean,
): Value => {
  const isFloat = typeof a === "number" || typeof b === "number";
  const dividesByZero = (operator === "/" || operator === "//" || operator === "%") && Number(b) === 0;
  if (dividesByZero) throw new TemplateError("division by zero");
  if (operator === "/") return Number(a) / Number(b);
  if (isFloat || (operator === "**" && Number(b) < 0)) {
    const [x, y] = [Number(a), Number(b)];
    switch (operator) {
      case "+":
        return x + y;
      case "-":
        return x - y;
      case "*":
        return x * y;
      case "//":
        return Math.floor(x / y);
      case "%":
        return x - y * Math.floor(x / y);
      case "**":
        return x ** y;
    }
  }
  const [x, y] = [BigInt(a), BigInt(b)];
  if (operator === "**") within(Number(y) * x.toString(2).length, "**");
  return ofWholes(operator, x, y);
};

const ofWholes = (operator: Exclude<Operator, "~" | "/">, x: bigint, y: bigint): Value => {
  switch (operator) {
    case "+":
      return x + y;
    case "-":
      return x - y;
    case "*":
      return x * y;
    case "//":
      return floorDivide(x, y);
    case "%":
      return x - y * floorDivide(x, y);
    case "**":
      return x ** y;
  }
};

const floorDivide = (x: bigint, y: bigint): bigint => {
  const quotient = x / y;
  return x % y !== 0n && x < 0n !== y < 0n ? quotient - 1n : quotient;
};

export const negated = (operator: "-" | "+", value: Value): Value => {
  if (!isNumber(value)) throw new TemplateError(`bad operand type for unary ${operator}: '${typeName(value)}'`);
  if (typeof value === "number") return operator === "-" ? -value : value;
  const whole = BigInt(value);
  return operator === "-" ? -whole : whole;
};

export const holds = (operator: Comparison, left: Value, right: Value): boolean => {
  switch (operator) {
    case "==":
      return equal(left, right);
    case "!=":
      return !equal(left, right);
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "<":
      return compare(left, right) < 0;
    case "<=":
      return compare(left, right) <= 0;
    case ">":
      return compare(left, right) > 0;
    case ">=":
      return compare(left, right) >= 0;
  }
};

const contains = (container: Value, item: Value): boolean => {
  if (typeof container === "string") {
    if (typeof item === "string") return container.includes(item);
    throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (isDict(container)) return container.has(item);
  if (container === null || isNumber(container)) {
    throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`);
  }
  return itemsOf(container).some((each) => equal(each, item));
};

/** Python's `[start:stop:step]`. */
export const sliced = <A>(items: ReadonlyArray<A>, start: Value, stop: Value, step: Value): ReadonlyArray<A> => {
  const by = step === null ? 1 : wholeNumber(step);
  if (by === 0) throw new TemplateError("slice step cannot be zero");
  const { length } = items;
  const clamp = (bound: Value, fallback: number): number => {
    if (bound === null) return fallback;
    const at = wholeNumber(bound);
    const from = at < 0 ? at + length : at;
    return by > 0 ? Math.min(Math.max(from, 0), length) : Math.min(Math.max(from, -1), length - 1);
  };
  const [from, to] = by > 0 ? [clamp(start, 0), clamp(stop, length)] : [clamp(start, length - 1), clamp(stop, -1)];
  const found: A[] = [];
  for (let at = from; by > 0 ? at < to : at > to; at += by) {
    const item = items[at];
    if (item !== undefined) found.push(item);
  }
  return found;
};

const wholeNumber = (value: Value): number => {
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  throw new TemplateError("slice indices must be integers or None");
};
