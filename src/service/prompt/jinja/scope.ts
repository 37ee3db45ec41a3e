/** The variables of a running template, and the limit of its work. */
import { TemplateError, Undefined, type Value } from "./values.ts";

/** A template exceeded its limit of work. */
class TooMuchWork extends TemplateError {}

/** Counts steps, about ten million per second, and written characters. */
export class Work {
  private left: number;

  constructor(most: number) {
    this.left = most;
  }

  spend(value: Value): void {
    this.left -= 1;
    if (typeof value === "string") this.left -= value.length / 64;
    else if (Array.isArray(value)) this.left -= value.length / 4;
    if (this.left < 0) throw new TooMuchWork("it takes too much work");
  }
}

/** Variables and their values. Assignments in an inner scope do not affect the outer one. */
export class Scope {
  readonly work: Work;
  private readonly names = new Map<string, Value>();
  private readonly outer: Scope | undefined;

  constructor(outer: Scope | Work, names: Iterable<readonly [string, Value]> = []) {
    this.outer = outer instanceof Scope ? outer : undefined;
    this.work = outer instanceof Scope ? outer.work : outer;
    for (const [name, value] of names) this.names.set(name, value);
  }

  get(name: string): Value {
    const value = this.names.get(name);
    if (value !== undefined) return value;
    return this.outer === undefined ? new Undefined(`'${name.slice(0, 100)}' is undefined`) : this.outer.get(name);
  }

  set(name: string, value: Value): void {
    this.names.set(name, value);
  }
}
