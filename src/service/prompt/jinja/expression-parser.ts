/**
 * Parses expressions by Jinja's operator precedence, from conditionals down to filters, tests, calls and subscripts.
 */
import type { CallArguments, Comparison, Expression } from "./nodes.ts";
import { TokenCursor } from "./token-cursor.ts";

export class ExpressionParser extends TokenCursor {
  /** One expression, or several separated by commas, which form a tuple. */
  protected tuple(withCondition = true, end = ""): Expression {
    const one = (): Expression => (withCondition ? this.expression() : this.or());
    const first = one();
    if (!this.is(",")) return first;
    const items = [first];
    while (this.skip(",")) {
      if (this.endsTuple(end)) break;
      items.push(one());
    }
    return { type: "tuple", items };
  }

  private endsTuple(end: string): boolean {
    const { type } = this.current;
    return type === "variable-end" || type === "block-end" || this.is(")") || (end !== "" && this.is(end, "name"));
  }

  protected expression(): Expression {
    let value = this.or();
    while (this.skip("if", "name")) {
      const condition = this.or();
      const otherwise = this.skip("else", "name") ? this.expression() : undefined;
      value = { type: "if", condition, value, otherwise };
    }
    return value;
  }

  protected or(): Expression {
    let left = this.and();
    while (this.skip("or", "name")) left = { type: "binary", operator: "or", left, right: this.and() };
    return left;
  }

  private and(): Expression {
    let left = this.not();
    while (this.skip("and", "name")) left = { type: "binary", operator: "and", left, right: this.not() };
    return left;
  }

  private not(): Expression {
    return this.skip("not", "name") ? { type: "unary", operator: "not", of: this.not() } : this.comparison();
  }

  private comparison(): Expression {
    const first = this.sum();
    const rest: { operator: Comparison; to: Expression }[] = [];
    for (;;) {
      const { type, text } = this.current;
      if (type === "operator" && comparisons.has(text)) {
        this.at += 1;
        rest.push({ operator: text as Comparison, to: this.sum() });
      } else if (this.skip("in", "name")) rest.push({ operator: "in", to: this.sum() });
      else if (this.is("not", "name") && this.following.text === "in") {
        this.at += 2;
        rest.push({ operator: "not in", to: this.sum() });
      } else break;
    }
    return rest.length === 0 ? first : { type: "compare", first, rest };
  }

  private sum(): Expression {
    return this.chain(["+", "-"], () => this.joined());
  }

  private joined(): Expression {
    return this.chain(["~"], () => this.product());
  }

  private product(): Expression {
    return this.chain(["*", "/", "//", "%"], () => this.power());
  }

  private power(): Expression {
    return this.chain(["**"], () => this.unary());
  }

  private chain(operators: ReadonlyArray<string>, operand: () => Expression): Expression {
    let left = operand();
    while (this.current.type === "operator" && operators.includes(this.current.text)) {
      const operator = this.take().text as Extract<Expression, { type: "binary" }>["operator"];
      left = { type: "binary", operator, left, right: operand() };
    }
    return left;
  }

  private unary(withFilters = true): Expression {
    const sign = this.is("-") ? "-" : this.is("+") ? "+" : undefined;
    if (sign !== undefined) this.at += 1;
    const plain: Expression =
      sign === undefined ? this.primary() : { type: "unary", operator: sign, of: this.unary(false) };
    const whole = this.postfix(plain);
    return withFilters ? this.filtersAndTests(whole) : whole;
  }

  private primary(): Expression {
    const { type, text } = this.current;
    switch (type) {
      case "name":
        this.at += 1;
        return Object.hasOwn(constants, text)
          ? { type: "constant", value: constants[text] ?? null }
          : { type: "name", name: text };
      case "string": {
        let value = "";
        while (this.current.type === "string") value += this.take().text;
        return { type: "constant", value };
      }
      case "integer":
        this.at += 1;
        return { type: "constant", value: BigInt(text.replaceAll("_", "").replace(/^0+(?=0)/, "")) };
      case "float":
        this.at += 1;
        return { type: "constant", value: Number(text.replaceAll("_", "")) };
      default:
        return this.bracketed();
    }
  }

  private bracketed(): Expression {
    if (this.skip("(")) {
      if (this.skip(")")) return { type: "tuple", items: [] };
      const inner = this.tuple();
      this.expect(")");
      return inner;
    }
    if (this.skip("[")) {
      const items: Expression[] = [];
      while (!this.skip("]")) {
        if (items.length > 0) this.expect(",");
        if (this.skip("]")) break;
        items.push(this.expression());
      }
      return { type: "list", items };
    }
    if (!this.skip("{")) throw this.unexpected();
    const members: (readonly [Expression, Expression])[] = [];
    while (!this.skip("}")) {
      if (members.length > 0) this.expect(",");
      if (this.skip("}")) break;
      const key = this.expression();
      this.expect(":");
      members.push([key, this.expression()]);
    }
    return { type: "dict", members };
  }

  private postfix(expression: Expression): Expression {
    let of = expression;
    for (;;) {
      if (this.skip(".")) {
        const { type, text } = this.take();
        if (type === "name") of = { type: "attribute", of, name: text };
        else if (type === "integer") of = { type: "item", of, key: { type: "constant", value: BigInt(text) } };
        else throw this.unexpected("expected a name or a number after '.'");
      } else if (this.skip("[")) of = { type: "item", of, key: this.subscript() };
      else if (this.is("(")) of = { type: "call", of, args: this.callArguments() };
      else return of;
    }
  }

  private subscript(): Expression {
    const keys: Expression[] = [];
    while (!this.skip("]")) {
      if (keys.length > 0) this.expect(",");
      keys.push(this.subscripted());
    }
    const [only] = keys;
    if (only === undefined) throw this.unexpected("expected a key");
    return keys.length === 1 ? only : { type: "tuple", items: keys };
  }

  private subscripted(): Expression {
    const bound = (): Expression | undefined =>
      this.is(":") || this.is("]") || this.is(",") ? undefined : this.expression();
    const start = bound();
    if (!this.skip(":")) {
      if (start === undefined) throw this.unexpected("expected a key");
      return start;
    }
    const stop = bound();
    return { type: "slice", start, stop, step: this.skip(":") ? bound() : undefined };
  }

  private callArguments(): CallArguments {
    const positional: { value: Expression; spread: boolean }[] = [];
    const named: { name: string; value: Expression }[] = [];
    let spread: Expression | undefined;
    this.expect("(");
    for (let count = 0; !this.skip(")"); count++) {
      if (count > 0) this.expect(",");
      if (this.skip(")")) break;
      if (this.skip("**")) spread = this.expression();
      else if (this.skip("*")) positional.push({ value: this.expression(), spread: true });
      else if (this.current.type === "name" && this.following.type === "operator" && this.following.text === "=") {
        const name = this.name();
        this.at += 1;
        named.push({ name, value: this.expression() });
      } else positional.push({ value: this.expression(), spread: false });
    }
    return { positional, named, spread };
  }

  private filtersAndTests(expression: Expression): Expression {
    let of = expression;
    for (;;) {
      if (this.is("|")) of = this.filters(of, true);
      else if (this.is("is", "name")) of = this.test(of);
      else if (this.is("(")) of = { type: "call", of, args: this.callArguments() };
      else return of;
    }
  }

  /** @param afterPipe whether every filter, the first included, is preceded by a pipe */
  protected filters(expression: Expression | undefined, afterPipe = false): Expression {
    let of = expression;
    let found: Expression | undefined;
    for (let isFirst = !afterPipe; isFirst || this.is("|"); isFirst = false) {
      if (!isFirst) this.at += 1;
      const name = this.dottedName();
      const args = this.is("(") ? this.callArguments() : noArguments;
      found = { type: "filter", of, name, args };
      of = found;
    }
    if (found === undefined) throw this.unexpected("expected a filter");
    return found;
  }

  private dottedName(): string {
    let name = this.name();
    while (this.skip(".")) name += `.${this.name()}`;
    return name;
  }

  private test(of: Expression): Expression {
    this.at += 1;
    const negated = this.skip("not", "name");
    const name = this.dottedName();
    const test: Expression = { type: "test", of, name, args: this.testArguments() };
    if (this.is("is", "name")) throw this.unexpected("tests cannot be chained");
    return negated ? { type: "unary", operator: "not", of: test } : test;
  }

  private testArguments(): CallArguments {
    if (this.is("(")) return this.callArguments();
    const { type, text } = this.current;
    const isOperand =
      (type === "name" && !["else", "or", "and", "is", "if", "not", "in", "recursive"].includes(text)) ||
      type === "string" ||
      type === "integer" ||
      type === "float" ||
      (type === "operator" && (text === "[" || text === "{"));
    if (!isOperand) return noArguments;
    return { positional: [{ value: this.postfix(this.primary()), spread: false }], named: [], spread: undefined };
  }
}

const comparisons: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);

const constants: Readonly<Record<string, null | boolean>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

const noArguments: CallArguments = { positional: [], named: [], spread: undefined };
