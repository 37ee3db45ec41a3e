/** Jinja's tests, which follow `is`. */
import { holds } from "./operators.ts";
import { str } from "./python-text.ts";
import {
  Callable,
  isDict,
  isIterable,
  isList,
  isNumber,
  TemplateError,
  Tuple,
  Undefined,
  type Value,
  View,
} from "./values.ts";

type Test = (value: Value, argument: Value | undefined) => boolean;

const compared =
  (operator: Parameters<typeof holds>[0]): Test =>
  (value, argument) =>
    holds(operator, value, argument ?? null);

const remainder = (value: Value, by: Value | undefined): bigint => {
  if (!isNumber(value) || !isNumber(by ?? null)) throw new TemplateError("a number is required");
  return BigInt(Math.trunc(Number(value))) % BigInt(Math.trunc(Number(by)));
};

const isCased = (text: string, inCase: string): boolean => text === inCase && text.toLowerCase() !== text.toUpperCase();

const tests: Readonly<Record<string, Test>> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  true: (value) => value === true,
  false: (value) => value === false,
  integer: (value) => typeof value === "bigint",
  float: (value) => typeof value === "number",
  number: (value) => isNumber(value),
  string: (value) => typeof value === "string",
  mapping: (value) => isDict(value),
  iterable: (value) => isIterable(value),
  sequence: (value) =>
    typeof value === "string" ||
    isList(value) ||
    isDict(value) ||
    value instanceof Tuple ||
    value instanceof Undefined ||
    (value instanceof View && value.kind === "range"),
  callable: (value) => value instanceof Callable || value instanceof Undefined,
  even: (value) => remainder(value, 2n) === 0n,
  odd: (value) => remainder(value, 2n) !== 0n,
  divisibleby: (value, by) => remainder(value, by) === 0n,
  lower: (value) => isCased(str(value), str(value).toLowerCase()),
  upper: (value) => isCased(str(value), str(value).toUpperCase()),
  sameas: (value, other) => value === other,
  escaped: () => false,
  in: (value, container) => holds("in", value, container ?? null),
  eq: compared("=="),
  equalto: compared("=="),
  "==": compared("=="),
  ne: compared("!="),
  "!=": compared("!="),
  lt: compared("<"),
  lessthan: compared("<"),
  "<": compared("<"),
  le: compared("<="),
  "<=": compared("<="),
  gt: compared(">"),
  greaterthan: compared(">"),
  ">": compared(">"),
  ge: compared(">="),
  ">=": compared(">="),
};

export const passes = (name: string, value: Value, argument?: Value): boolean => {
  const test = Object.hasOwn(tests, name) ? tests[name] : undefined;
  if (test === undefined) throw new TemplateError(`No test named '${name.slice(0, 40)}'.`);
  return test(value, argument);
};
