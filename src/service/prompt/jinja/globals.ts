/** The variables and functions that every template has. */
import { dictOf, Given } from "./arguments.ts";
import { Callable, Helper, Namespace, TemplateError, type Value, View } from "./values.ts";

/** The longest range that the environment of chat templates allows. */
const longestRange = 100_000;

const range = new Callable("range", (args) => {
  const given = new Given("range", args, 3);
  const first = given.count(0, "start", 0);
  const [start, stop] = args.positional.length > 1 ? [first, given.count(1, "stop", 0)] : [0, first];
  const step = given.count(2, "step", 1);
  if (step === 0) throw new TemplateError("range() arg 3 must not be zero");
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > longestRange) throw new TemplateError(`Range too big. The most is ${longestRange} items`);
  return new View(
    "range",
    Array.from({ length }, (_, index) => BigInt(start + index * step)),
  );
});

const namespace = new Callable("namespace", (args) => {
  const members = new Map<string, Value>();
  for (const [name, value] of dictOf(args)) {
    if (typeof name !== "string" || name.startsWith("_")) {
      throw new TemplateError("names of a namespace do not begin with an underscore");
    }
    members.set(name, value);
  }
  return new Namespace(members);
});

/** Returns its items one after another. */
const cycler = new Callable("cycler", ({ positional }) => {
  let at = 0;
  const current = (): Value => positional[at % positional.length] ?? null;
  const next = new Callable("next", () => {
    const item = current();
    at += 1;
    return item;
  });
  const reset = new Callable("reset", () => {
    at = 0;
    return null;
  });
  return new Helper((name) => ({ next, reset, current: current() })[name], undefined);
});

/** Returns an empty text the first time, then its separator. */
const joiner = new Callable("joiner", (args) => {
  const separator = new Given("joiner", args).optionalText(0, "sep") ?? ", ";
  let used = false;
  return new Callable("joiner", () => {
    if (used) return separator;
    used = true;
    return "";
  });
});

export const globals: ReadonlyArray<readonly [string, Value]> = [
  ["range", range],
  ["dict", new Callable("dict", dictOf)],
  ["namespace", namespace],
  ["cycler", cycler],
  ["joiner", joiner],
];
