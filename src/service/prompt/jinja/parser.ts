/** Parses a template's tokens into its syntax tree, by Jinja's grammar of statements and expressions. */
import { ExpressionParser } from "./expression-parser.ts";
import { tokenize } from "./lexer.ts";
import type { Body, Expression, Parameter, Statement, Target } from "./nodes.ts";
import { TemplateError } from "./values.ts";

export const parse = (template: string): Body => new Parser(tokenize(template)).template();

class Parser extends ExpressionParser {
  template(): Body {
    const body = this.body([]);
    if (this.current.type !== "end") throw this.unexpected();
    return body;
  }

  /** Parses up to one of the tags, whose name is then the current token. */
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

  /** The body of a tag whose opening has been read up to its end, and the name of the closing tag. */
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
}
