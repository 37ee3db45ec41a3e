/** A template's syntax tree. */

export type Expression =
  | { readonly type: "constant"; readonly value: null | boolean | bigint | number | string }
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "list" | "tuple"; readonly items: ReadonlyArray<Expression> }
  | { readonly type: "dict"; readonly members: ReadonlyArray<readonly [Expression, Expression]> }
  | { readonly type: "unary"; readonly operator: "not" | "-" | "+"; readonly of: Expression }
  | {
      readonly type: "binary";
      readonly operator: "and" | "or" | "+" | "-" | "*" | "/" | "//" | "%" | "**" | "~";
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly type: "compare";
      readonly first: Expression;
      readonly rest: ReadonlyArray<{ readonly operator: Comparison; readonly to: Expression }>;
    }
  | {
      readonly type: "if";
      readonly condition: Expression;
      readonly value: Expression;
      readonly otherwise: Expression | undefined;
    }
  | { readonly type: "attribute"; readonly of: Expression; readonly name: string }
  | { readonly type: "item"; readonly of: Expression; readonly key: Expression }
  | {
      readonly type: "slice";
      readonly start: Expression | undefined;
      readonly stop: Expression | undefined;
      readonly step: Expression | undefined;
    }
  | { readonly type: "call"; readonly of: Expression; readonly args: CallArguments }
  /** `of` is undefined in a `filter` block, whose content is the input. */
  | {
      readonly type: "filter";
      readonly of: Expression | undefined;
      readonly name: string;
      readonly args: CallArguments;
    }
  | { readonly type: "test"; readonly of: Expression; readonly name: string; readonly args: CallArguments };

export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export interface CallArguments {
  readonly positional: ReadonlyArray<{ readonly value: Expression; readonly spread: boolean }>;
  readonly named: ReadonlyArray<{ readonly name: string; readonly value: Expression }>;
  /** The argument after `**`. */
  readonly spread: Expression | undefined;
}

export type Target =
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "member"; readonly of: string; readonly name: string }
  | { readonly type: "targets"; readonly targets: ReadonlyArray<Target> };

export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

export type Statement =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "output"; readonly value: Expression }
  | {
      readonly type: "if";
      readonly branches: ReadonlyArray<{ readonly condition: Expression; readonly body: Body }>;
      readonly otherwise: Body;
    }
  | {
      readonly type: "for";
      readonly target: Target;
      readonly items: Expression;
      readonly condition: Expression | undefined;
      readonly recursive: boolean;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | { readonly type: "break" | "continue" }
  | { readonly type: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly type: "set-block";
      readonly target: Target;
      readonly filter: Expression | undefined;
      readonly body: Body;
    }
  | {
      readonly type: "with";
      readonly values: ReadonlyArray<{ readonly target: Target; readonly value: Expression }>;
      readonly body: Body;
    }
  | {
      readonly type: "macro";
      readonly name: string;
      readonly parameters: ReadonlyArray<Parameter>;
      readonly body: Body;
    }
  | {
      readonly type: "call";
      readonly call: Expression;
      readonly parameters: ReadonlyArray<Parameter>;
      readonly body: Body;
    }
  | { readonly type: "filter"; readonly filter: Expression; readonly body: Body }
  /** A part that is rendered in place: `block`, `generation`. */
  | { readonly type: "part"; readonly body: Body };

export type Body = ReadonlyArray<Statement>;
