/** Renders a template by running its syntax tree. */
import { applyFilter } from "./filters.ts";
import { attributeOf, itemOf, slice } from "./members.ts";
import type { Body, CallArguments, Expression, Parameter, Statement, Target } from "./nodes.ts";
import { calculate, holds, negated } from "./operators.ts";
import { str } from "./python-text.ts";
import { Scope, type Work } from "./scope.ts";
import { passes } from "./tests.ts";
import {
  type Arguments,
  Callable,
  equal,
  isDict,
  itemsOf,
  orElse,
  Helper,
  Namespace,
  TemplateError,
  truth,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** How the body of a loop was left early. */
type Leave = "break" | "continue" | undefined;

export const run = (template: Body, names: Iterable<readonly [string, Value]>, work: Work): string => {
  const out: string[] = [];
  // The template's variables have a scope of their own, so that it may overwrite the variables it was given.
  runBody(template, new Scope(new Scope(work, names)), out);
  return out.join("");
};

const runBody = (body: Body, scope: Scope, out: string[]): Leave => {
  for (const statement of body) {
    scope.work.spend(null);
    const leave = runStatement(statement, scope, out);
    if (leave !== undefined) return leave;
  }
  return undefined;
};

const written = (body: Body, scope: Scope): string => {
  const out: string[] = [];
  runBody(body, scope, out);
  return out.join("");
};

const runStatement = (statement: Statement, scope: Scope, out: string[]): Leave => {
  switch (statement.type) {
    case "text":
      out.push(statement.text);
      return undefined;
    case "output":
      out.push(str(evaluate(statement.value, scope)));
      return undefined;
    case "if": {
      const branch = statement.branches.find(({ condition }) => truth(evaluate(condition, scope)));
      return runBody(branch?.body ?? statement.otherwise, scope, out);
    }
    case "for":
      runFor(statement, evaluate(statement.items, scope), scope, out, 0);
      return undefined;
    case "break":
    case "continue":
      return statement.type;
    case "set":
      assign(statement.target, evaluate(statement.value, scope), scope);
      return undefined;
    case "set-block": {
      const text = written(statement.body, new Scope(scope));
      assign(statement.target, statement.filter === undefined ? text : filtered(statement.filter, text, scope), scope);
      return undefined;
    }
    case "with": {
      const inner = new Scope(scope);
      for (const { target, value } of statement.values) assign(target, evaluate(value, scope), inner);
      return runBody(statement.body, inner, out);
    }
    case "macro":
      scope.set(statement.name, macro(statement.name, statement.parameters, statement.body, scope));
      return undefined;
    case "call": {
      const caller = macro("caller", statement.parameters, statement.body, scope);
      const { call } = statement;
      if (call.type === "call") out.push(str(callOf(call, scope, caller)));
      return undefined;
    }
    case "filter":
      out.push(str(filtered(statement.filter, written(statement.body, new Scope(scope)), scope)));
      return undefined;
    case "part":
      return runBody(statement.body, new Scope(scope), out);
  }
};

type For = Extract<Statement, { type: "for" }>;

const runFor = (statement: For, items: Value, scope: Scope, out: string[], depth: number): void => {
  const { target, condition, body, otherwise, recursive } = statement;
  const all = itemsOf(items);
  const list =
    condition === undefined
      ? all
      : all.filter((item) => {
          const inner = new Scope(scope);
          assign(target, item, inner);
          return truth(evaluate(condition, inner));
        });
  const again = (inner: Value): Value => {
    const text: string[] = [];
    runFor(statement, inner, scope, text, depth + 1);
    return text.join("");
  };
  let seen: Value | undefined;
  const changed = (value: Value): boolean => {
    const differs = seen === undefined || !equal(seen, value);
    seen = value;
    return differs;
  };
  for (const [index, item] of list.entries()) {
    scope.work.spend(item);
    const inner = new Scope(scope);
    inner.set(
      "loop",
      new Helper((name) => loopAttribute(name, list, index, depth, changed), recursive ? again : undefined),
    );
    assign(target, item, inner);
    if (runBody(body, inner, out) === "break") break;
  }
  if (list.length === 0) runBody(otherwise, new Scope(scope), out);
};

const loopAttribute = (
  name: string,
  items: ReadonlyArray<Value>,
  index: number,
  depth: number,
  changed: (value: Value) => boolean,
): Value | undefined => {
  switch (name) {
    case "index":
      return BigInt(index + 1);
    case "index0":
      return BigInt(index);
    case "revindex":
      return BigInt(items.length - index);
    case "revindex0":
      return BigInt(items.length - index - 1);
    case "first":
      return index === 0;
    case "last":
      return index === items.length - 1;
    case "length":
      return BigInt(items.length);
    case "depth":
      return BigInt(depth + 1);
    case "depth0":
      return BigInt(depth);
    case "previtem":
      return orElse(items[index - 1], () => new Undefined("there is no previous item"));
    case "nextitem":
      return orElse(items[index + 1], () => new Undefined("there is no next item"));
    case "cycle":
      return new Callable("cycle", ({ positional }) => {
        if (positional.length === 0) throw new TemplateError("no items for cycling given");
        return positional[index % positional.length] ?? null;
      });
    case "changed":
      return new Callable("changed", ({ positional }) => changed(new Tuple(positional)));
    default:
      return undefined;
  }
};

const assign = (target: Target, value: Value, scope: Scope): void => {
  switch (target.type) {
    case "name":
      scope.set(target.name, value);
      break;
    case "member": {
      const of = scope.get(target.of);
      if (!(of instanceof Namespace)) throw new TemplateError("cannot assign attribute on non-namespace object");
      if (target.name.startsWith("_")) throw new TemplateError("names of a namespace do not begin with an underscore");
      of.members.set(target.name, value);
      break;
    }
    case "targets": {
      const items = itemsOf(value);
      const { targets } = target;
      if (items.length !== targets.length) {
        const problem = items.length < targets.length ? "not enough" : "too many";
        throw new TemplateError(`${problem} values to unpack (expected ${targets.length}, got ${items.length})`);
      }
      for (const [index, each] of targets.entries()) assign(each, items[index] ?? null, scope);
    }
  }
};

const macro = (name: string, parameters: ReadonlyArray<Parameter>, body: Body, scope: Scope): Callable =>
  new Callable(
    name,
    ({ positional, named }) => {
      const inner = new Scope(scope);
      const known = new Set(parameters.map((parameter) => parameter.name));
      for (const [index, { name: parameter, fallback }] of parameters.entries()) {
        const given = index < positional.length ? positional[index] : named.get(parameter);
        const value = orElse(given, () =>
          fallback === undefined
            ? new Undefined(`parameter '${parameter}' was not provided`)
            : evaluate(fallback, inner),
        );
        inner.set(parameter, value);
      }
      const extra = new Map<Value, Value>([...named].filter(([key]) => !known.has(key) && key !== "caller"));
      inner.set("varargs", new Tuple(positional.slice(parameters.length)));
      inner.set("kwargs", extra);
      inner.set("caller", named.get("caller") ?? new Undefined("No caller defined"));
      return written(body, inner);
    },
    new Map<string, Value>([
      ["name", name],
      ["arguments", new Tuple(parameters.map((parameter) => parameter.name))],
    ]),
  );

const filtered = (filter: Expression, text: string, scope: Scope): Value => {
  if (filter.type !== "filter") return text;
  const of = filter.of === undefined ? text : filtered(filter.of, text, scope);
  return applyFilter(filter.name, of, argumentsOf(filter.args, scope));
};

const evaluate = (expression: Expression, scope: Scope): Value => {
  const value = valueOf(expression, scope);
  scope.work.spend(value);
  return value;
};

const valueOf = (expression: Expression, scope: Scope): Value => {
  switch (expression.type) {
    case "constant":
      return expression.value;
    case "name":
      return scope.get(expression.name);
    case "list":
      return expression.items.map((item) => evaluate(item, scope));
    case "tuple":
      return new Tuple(expression.items.map((item) => evaluate(item, scope)));
    case "dict":
      return new Map(expression.members.map(([key, value]) => [evaluate(key, scope), evaluate(value, scope)]));
    case "unary": {
      const of = evaluate(expression.of, scope);
      return expression.operator === "not" ? !truth(of) : negated(expression.operator, of);
    }
    case "binary": {
      const left = evaluate(expression.left, scope);
      if (expression.operator === "and") return truth(left) ? evaluate(expression.right, scope) : left;
      if (expression.operator === "or") return truth(left) ? left : evaluate(expression.right, scope);
      return calculate(expression.operator, left, evaluate(expression.right, scope));
    }
    case "compare": {
      let left = evaluate(expression.first, scope);
      return expression.rest.every(({ operator, to }) => {
        const right = evaluate(to, scope);
        const result = holds(operator, left, right);
        left = right;
        return result;
      });
    }
    case "if":
      if (truth(evaluate(expression.condition, scope))) return evaluate(expression.value, scope);
      if (expression.otherwise !== undefined) return evaluate(expression.otherwise, scope);
      return new Undefined("the inline if-expression evaluated to false and no else section was defined");
    case "attribute":
      return attributeOf(evaluate(expression.of, scope), expression.name);
    case "item": {
      const of = evaluate(expression.of, scope);
      const { key } = expression;
      if (key.type !== "slice") return itemOf(of, evaluate(key, scope));
      const bound = (each: Expression | undefined): Value => (each === undefined ? null : evaluate(each, scope));
      return slice(of, bound(key.start), bound(key.stop), bound(key.step));
    }
    case "slice":
      throw new TemplateError("a slice stands in brackets only");
    case "call":
      return callOf(expression, scope);
    case "filter":
      if (expression.of === undefined) throw new TemplateError("a filter needs a value");
      return applyFilter(expression.name, evaluate(expression.of, scope), argumentsOf(expression.args, scope));
    case "test": {
      const value = evaluate(expression.of, scope);
      return passes(expression.name, value, ...argumentsOf(expression.args, scope).positional);
    }
  }
};

const callOf = (call: Extract<Expression, { type: "call" }>, scope: Scope, caller?: Callable): Value => {
  const callee = evaluate(call.of, scope);
  const given = argumentsOf(call.args, scope);
  const args = caller === undefined ? given : { ...given, named: new Map([...given.named, ["caller", caller]]) };
  if (callee instanceof Callable) return callee.call(args);
  if (callee instanceof Helper && callee.call !== undefined) return callee.call(args.positional[0] ?? null);
  throw new TemplateError(
    callee instanceof Undefined ? callee.problem : `'${typeName(callee)}' object is not callable`,
  );
};

const argumentsOf = ({ positional, named, spread }: CallArguments, scope: Scope): Arguments => {
  const values = positional.flatMap(({ value, spread: isSpread }) => {
    const one = evaluate(value, scope);
    return isSpread ? [...itemsOf(one)] : [one];
  });
  const byName = new Map(named.map(({ name, value }) => [name, evaluate(value, scope)]));
  if (spread !== undefined) {
    const more = evaluate(spread, scope);
    if (!isDict(more)) throw new TemplateError("the argument after ** must be a mapping");
    for (const [name, value] of more) byName.set(str(name), value);
  }
  return { positional: values, named: byName };
};
