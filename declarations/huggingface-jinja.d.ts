/**
 * What is used of @huggingface/jinja. The package's own declarations leave out file extensions, so under NodeNext
 * everything in them is an unresolved type; tsconfig.json reads this file in their place.
 */
export interface Token {
  readonly value: string;
  readonly type: string;
}

export interface Program {
  readonly type: "Program";
}

export interface RuntimeValue {
  readonly type: string;
  readonly value: unknown;
}

/** `trim_blocks` and `lstrip_blocks` as in Jinja; both are off unless told. */
export function tokenize(source: string, options?: { trim_blocks?: boolean; lstrip_blocks?: boolean }): Token[];

export function parse(tokens: Token[]): Program;

export class Environment {
  /** Throws when the name is declared already. Functions get plain values of strings and numbers. */
  set(name: string, value: unknown): RuntimeValue;
}

export class Interpreter {
  constructor(environment: Environment);
  /** A program's value is the text that it wrote. */
  run(program: Program): RuntimeValue;
}
