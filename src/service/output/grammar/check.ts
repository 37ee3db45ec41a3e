/** Checks that a grammar can be enforced: every rule can end, and its size is bounded. */
import type { Grammar, GrammarExpression } from "../../domain/grammar.ts";
import { GrammarRefused } from "./expressions.ts";

/** The grammar without unreachable rules; rules that refer to no others come first. */
export const checkedGrammar = (grammar: Grammar): Grammar => {
  const used = usedRules(grammar);
  const count = Object.keys(used.rules).length;
  if (count > maxRules) throw new GrammarRefused(`it is too large: it has ${count} rules, of at most ${maxRules}`);
  const size = Object.values(used.rules).reduce((total, of) => total + sizeOf(of), 0);
  if (size > maxSize) throw new GrammarRefused(`it is too large: it has ${size} parts, of at most ${maxSize}`);
  const lengths = shortestLengths(used);
  const endless = Object.keys(used.rules).find((name) => !lengths.has(name));
  if (!lengths.has(used.root)) throw new GrammarRefused("no finite text fits");
  if (endless !== undefined) throw new GrammarRefused(`no finite text fits its rule "${endless}"`);
  const shortest = lengths.get(used.root) ?? 0;
  if (shortest > maxShortest) {
    throw new GrammarRefused(`the shortest text that fits has ${shortest} characters, of at most ${maxShortest}`);
  }
  if (!leastSet(used.rules, saysSomething).has(used.root)) throw new GrammarRefused("only the empty text fits");
  const leftRecursive = beginsWithItself(used);
  if (leftRecursive !== undefined) throw new GrammarRefused(`rule "${leftRecursive}" begins with itself`);
  return used;
};

/** The most characters and character classes as written; repetition counts do not matter. */
const maxSize = 65_536;
const maxRules = 2048;
const maxShortest = 1_000_000;

const sizeOf = (of: GrammarExpression): number => {
  switch (of.type) {
    case "text":
      return of.text.length;
    case "chars":
      return of.ranges.length;
    case "rule":
      return 1;
    case "sequence":
      return of.parts.reduce((total, part) => total + sizeOf(part), 1);
    case "choice":
      return of.options.reduce((total, option) => total + sizeOf(option), 1);
    case "repeat":
      return 1 + sizeOf(of.of);
  }
};

const usedRules = ({ root, rules }: Grammar): Grammar => {
  const seen = new Set<string>();
  const used: Record<string, GrammarExpression> = {};
  const visit = (of: GrammarExpression): void => {
    if (of.type !== "rule") {
      for (const part of partsOf(of)) visit(part);
      return;
    }
    const found = rules[of.name];
    if (found === undefined || seen.has(of.name)) return;
    seen.add(of.name);
    visit(found);
    used[of.name] = found;
  };
  visit({ type: "rule", name: root });
  return { root, rules: used };
};

const partsOf = (of: GrammarExpression): ReadonlyArray<GrammarExpression> => {
  if (of.type === "sequence") return of.parts;
  if (of.type === "choice") return of.options;
  return of.type === "repeat" ? [of.of] : [];
};

/** For each rule that can end: the length of its shortest text. */
const shortestLengths = ({ rules }: Grammar): ReadonlyMap<string, number> => {
  const known = new Map<string, number>();
  const lengthOf = (of: GrammarExpression): number => {
    switch (of.type) {
      case "text":
        return of.text.length;
      case "chars":
        return 1;
      case "rule":
        return known.get(of.name) ?? Infinity;
      case "sequence":
        return of.parts.reduce((total, part) => total + lengthOf(part), 0);
      case "choice":
        return of.options.reduce((least, option) => Math.min(least, lengthOf(option)), Infinity);
      case "repeat":
        return of.min === 0 ? 0 : of.min * lengthOf(of.of);
    }
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const [name, of] of Object.entries(rules)) {
      const length = lengthOf(of);
      if (length >= (known.get(name) ?? Infinity)) continue;
      known.set(name, length);
      changed = true;
    }
  }
  return known;
};

/** Whether it matches the empty text. */
const isEmptiable = (of: GrammarExpression, known: ReadonlySet<string>): boolean => {
  switch (of.type) {
    case "text":
      return of.text === "";
    case "chars":
      return false;
    case "sequence":
      return of.parts.every((part) => isEmptiable(part, known));
    case "choice":
      return of.options.some((option) => isEmptiable(option, known));
    case "repeat":
      return of.min === 0 || isEmptiable(of.of, known);
    case "rule":
      return known.has(of.name);
  }
};

/** Whether it matches any other text than the empty one. */
const saysSomething = (of: GrammarExpression, known: ReadonlySet<string>): boolean => {
  switch (of.type) {
    case "text":
      return of.text !== "";
    case "chars":
      return true;
    case "sequence":
      return of.parts.some((part) => saysSomething(part, known));
    case "choice":
      return of.options.some((option) => saysSomething(option, known));
    case "repeat":
      return of.max !== 0 && saysSomething(of.of, known);
    case "rule":
      return known.has(of.name);
  }
};

/** The least set of names for which the property holds, given the names for which it is known to hold. */
const leastSet = (
  rules: Grammar["rules"],
  holds: (of: GrammarExpression, known: ReadonlySet<string>) => boolean,
): ReadonlySet<string> => {
  const known = new Set<string>();
  for (let before = -1; before < known.size;) {
    before = known.size;
    for (const [name, of] of Object.entries(rules)) if (!known.has(name) && holds(of, known)) known.add(name);
  }
  return known;
};

const beginsWithItself = ({ rules }: Grammar): string | undefined => {
  const emptiable = leastSet(rules, isEmptiable);
  const firsts = (of: GrammarExpression): ReadonlyArray<string> => {
    switch (of.type) {
      case "rule":
        return [of.name];
      case "choice":
        return of.options.flatMap(firsts);
      case "repeat":
        return firsts(of.of);
      case "sequence": {
        const solid = of.parts.findIndex((part) => !isEmptiable(part, emptiable));
        return of.parts.slice(0, solid < 0 ? undefined : solid + 1).flatMap(firsts);
      }
      default:
        return [];
    }
  };
  const state = new Map<string, "open" | "done">();
  const visit = (name: string): string | undefined => {
    if (state.get(name) === "open") return name;
    const of = rules[name];
    if (state.has(name) || of === undefined) return undefined;
    state.set(name, "open");
    for (const next of firsts(of)) {
      const found = visit(next);
      if (found !== undefined) return found;
    }
    state.set(name, "done");
    return undefined;
  };
  for (const name of Object.keys(rules)) {
    const found = visit(name);
    if (found !== undefined) return found;
  }
  return undefined;
};
