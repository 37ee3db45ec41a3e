/** A template's tokens as its syntax tree, by Jinja's grammar and its order of operators. */
import { type Token, tokenize } from "./lexer.ts";
import type { Body, CallArguments, Comparison, Expression, Parameter, Statement, Target } from "./nodes.ts";
import { TemplateError } from "./values.ts";

export const parse = (template: string): Body => new Parser(tokenize(template)).template();

const comparisons: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);

class Parser {
  private readonly tokens: ReadonlyArray<Token>;
  private at = 0;

  constructor(tokens: ReadonlyArray<Token>) {
    this.tokens = tokens;
  }

  template(): Body {
    const body = this.body([]);
    if (this.current.type !== "end") throw this.unexpected();
    return body;
  }

  private get current(): Token {
    return this.tokens[this.at] ?? { type: "end", text: "", line: 0 };
  }

  private get following(): Token {
    return this.tokens[this.at + 1] ?? this.current;
  }

  private take(): Token {
    const token = this.current;
    this.at += 1;
    return token;
  }

  private is(text: string, type: Token["type"] = "operator"): boolean {
    return this.current.type === type && this.current.text === text;
  }

  private has(type: Token["type"]): boolean {
    return this.current.type === type;
  }

  private skip(text: string, type: Token["type"] = "operator"): boolean {
    const found = this.is(text, type);
    if (found) this.at += 1;
    return found;
  }

  private expect(text: string, type: Token["type"] = "operator"): void {
    if (!this.skip(text, type)) throw this.unexpected(`expected '${text}'`);
  }

  private name(): string {
    if (this.current.type !== "name") throw this.unexpected("expected a name");
    return this.take().text;
  }

  private unexpected(hint = ""): TemplateError {
    const { type, text, line } = this.current;
    const found = type === "end" ? "end of template" : text === "" ? type : `'${text.slice(0, 40)}'`;
    return new TemplateError(`unexpected ${found}${hint === "" ? "" : `, ${hint}`} (line ${line})`);
  }

  // Statements

  /** Up to one of the tags, whose name is then current. */
  private body(ends: ReadonlyArray<string>): Body {
    const statements: Statement[] = [];
    for (;;) {
      switch (this.current.type) {
        case "data":
          statements.push({ type: "text", text: this.take().text });
          break;
        case "variable-begin": {
          this.at += 1;
          const value = this.tuple();
          if (!this.has("variable-end")) throw this.unexpected();
          this.at += 1;
          statements.push({ type: "output", value });
          break;
        }
        case "block-begin": {
          this.at += 1;
          if (this.has("name") && ends.includes(this.current.text)) return statements;
          statements.push(this.statement());
          this.blockEnd();
          break;
        }
        default:
          if (ends.length > 0) throw this.unexpected(`expected ${ends.join(" or ")}`);
          return statements;
      }
    }
  }

  private blockEnd(): void {
    if (this.current.type !== "block-end") throw this.unexpected();
    this.at += 1;
  }

  /** The body of a tag whose opening is at its end, and its closing tag's name. */
  private bodyUpTo(...ends: ReadonlyArray<string>): Body {
    this.blockEnd();
    return this.body(ends);
  }

  private statement(): Statement {
    const tag = this.name();
    switch (tag) {
      case "if":
        return this.ifStatement();
      case "for":
        return this.forStatement();
      case "break":
      case "continue":
        return { type: tag };
      case "set":
        return this.setStatement();
      case "with":
        return this.withStatement();
      case "macro": {
        const name = this.name();
        const parameters = this.parameters();
        const body = this.bodyUpTo("endmacro");
        this.at += 1;
        if (this.current.type === "name") this.at += 1;
        return { type: "macro", name, parameters, body };
      }
      case "call": {
        const parameters = this.is("(") ? this.parameters() : [];
        const call = this.expression();
        if (call.type !== "call") throw this.unexpected("expected a call");
        const body = this.bodyUpTo("endcall");
        this.at += 1;
        return { type: "call", call, parameters, body };
      }
      case "filter": {
        const filter = this.filters(undefined);
        const body = this.bodyUpTo("endfilter");
        this.at += 1;
        return { type: "filter", filter, body };
      }
      case "print": {
        const values = this.tuple();
        const all = values.type === "tuple" ? values.items : [values];
        return { type: "part", body: all.map((value) => ({ type: "output", value })) };
      }
      case "block":
        this.name();
        return this.part("endblock");
      case "generation":
        return this.part("endgeneration");
      default:
        throw new TemplateError(`Encountered unknown tag '${tag.slice(0, 40)}' (line ${this.current.line})`);
    }
  }

  private part(end: string): Statement {
    const body = this.bodyUpTo(end);
    this.at += 1;
    if (this.current.type === "name") this.at += 1;
    return { type: "part", body };
  }

  private ifStatement(): Statement {
    const branches: { condition: Expression; body: Body }[] = [];
    for (;;) {
      const condition = this.tuple(false);
      branches.push({ condition, body: this.bodyUpTo("elif", "else", "endif") });
      const end = this.name();
      if (end === "elif") continue;
      const otherwise = end === "else" ? this.bodyUpTo("endif") : [];
      if (end === "else") this.at += 1;
      return { type: "if", branches, otherwise };
    }
  }

  private forStatement(): Statement {
    const target = this.target("in");
    this.expect("in", "name");
    const items = this.tuple(false, "recursive");
    const condition = this.skip("if", "name") ? this.expression() : undefined;
    const recursive = this.skip("recursive", "name");
    const body = this.bodyUpTo("endfor", "else");
    const otherwise = this.name() === "else" ? this.bodyUpTo("endfor") : [];
    if (this.is("endfor", "name")) this.at += 1;
    return { type: "for", target, items, condition, recursive, body, otherwise };
  }

  private setStatement(): Statement {
    const target = this.target("");
    if (this.skip("=")) return { type: "set", target, value: this.tuple() };
    const filter = this.is("|") ? this.filters(undefined, true) : undefined;
    const body = this.bodyUpTo("endset");
    this.at += 1;
    return { type: "set-block", target, filter, body };
  }

  private withStatement(): Statement {
    const values: { target: Target; value: Expression }[] = [];
    while (this.current.type !== "block-end") {
      if (values.length > 0) this.expect(",");
      const target = this.singleTarget();
      this.expect("=");
      values.push({ target, value: this.expression() });
    }
    const body = this.bodyUpTo("endwith");
    this.at += 1;
    return { type: "with", values, body };
  }

  private parameters(): ReadonlyArray<Parameter> {
    const parameters: Parameter[] = [];
    this.expect("(");
    while (!this.skip(")")) {
      if (parameters.length > 0) this.expect(",");
      const name = this.name();
      parameters.push({ name, fallback: this.skip("=") ? this.expression() : undefined });
    }
    return parameters;
  }

  private target(end: string): Target {
    const first = this.singleTarget();
    if (!this.is(",")) return first;
    const targets = [first];
    while (this.skip(",")) {
      if (this.is("=") || this.is(end, "name") || this.current.type === "block-end") break;
      targets.push(this.singleTarget());
    }
    return { type: "targets", targets };
  }

  private singleTarget(): Target {
    if (this.skip("(")) {
      const inner = this.target("");
      this.expect(")");
      return inner;
    }
    const name = this.name();
    return this.skip(".") ? { type: "member", of: name, name: this.name() } : { type: "name", name };
  }

  // Expressions

  /** One expression, or several with commas between, which are a tuple. */
  private tuple(withCondition = true, end = ""): Expression {
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

  private expression(): Expression {
    let value = this.or();
    while (this.skip("if", "name")) {
      const condition = this.or();
      const otherwise = this.skip("else", "name") ? this.expression() : undefined;
      value = { type: "if", condition, value, otherwise };
    }
    return value;
  }

  private or(): Expression {
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

  /** @param afterPipe whether each filter, the first too, has a pipe before it */
  private filters(expression: Expression | undefined, afterPipe = false): Expression {
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

const constants: Readonly<Record<string, null | boolean>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

const noArguments: CallArguments = { positional: [], named: [], spread: undefined };
