/** Reads a template's tokens one after another. */
import type { Token } from "./lexer.ts";
import { TemplateError } from "./values.ts";

export class TokenCursor {
  protected at = 0;
  private readonly tokens: ReadonlyArray<Token>;

  constructor(tokens: ReadonlyArray<Token>) {
    this.tokens = tokens;
  }

  protected get current(): Token {
    return this.tokens[this.at] ?? { type: "end", text: "", line: 0 };
  }

  protected get following(): Token {
    return this.tokens[this.at + 1] ?? this.current;
  }

  protected take(): Token {
    const token = this.current;
    this.at += 1;
    return token;
  }

  protected is(text: string, type: Token["type"] = "operator"): boolean {
    return this.current.type === type && this.current.text === text;
  }

  protected has(type: Token["type"]): boolean {
    return this.current.type === type;
  }

  protected skip(text: string, type: Token["type"] = "operator"): boolean {
    const found = this.is(text, type);
    if (found) this.at += 1;
    return found;
  }

  protected expect(text: string, type: Token["type"] = "operator"): void {
    if (!this.skip(text, type)) throw this.unexpected(`expected '${text}'`);
  }

  protected name(): string {
    if (this.current.type !== "name") throw this.unexpected("expected a name");
    return this.take().text;
  }

  protected unexpected(hint = ""): TemplateError {
    const { type, text, line } = this.current;
    const found = type === "end" ? "end of template" : text === "" ? type : `'${text.slice(0, 40)}'`;
    return new TemplateError(`unexpected ${found}${hint === "" ? "" : `, ${hint}`} (line ${line})`);
  }
}
