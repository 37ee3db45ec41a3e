/** The form that a sequence's output must have, as it is sent to an engine process. */

/** A form that the output must have, from its beginning or from the end of its reasoning on. */
export interface SequenceConstraint {
  readonly grammar: Grammar;
  /** Whether the special tokens that mark tool calls may be chosen where the grammar has their text. */
  readonly markers: boolean;
  /** Undefined where the output has no reasoning. */
  readonly reasoning: ConstraintReasoning | undefined;
}

/** Reasoning is free of the constraint. */
interface ConstraintReasoning {
  /** `open`: the prompt has opened it. `optional`: the model may. `always`: it is opened for the model. */
  readonly begins: "open" | "optional" | "always";
  readonly openTokenIds: ReadonlyArray<number>;
  readonly closeTokenIds: ReadonlyArray<number>;
  /** What follows the close before the constraint begins. */
  readonly answerTokenIds: ReadonlyArray<number>;
}

/** A context-free grammar over code points. Every rule derives some text, and none begins with itself. */
export interface Grammar {
  readonly root: string;
  readonly rules: Readonly<Record<string, GrammarExpression>>;
}

export type GrammarExpression =
  | { readonly type: "text"; readonly text: string }
  /** One of these code points, first and last of each range; in order, without surrogates. */
  | { readonly type: "chars"; readonly ranges: ReadonlyArray<readonly [first: number, last: number]> }
  | { readonly type: "sequence"; readonly parts: ReadonlyArray<GrammarExpression> }
  | { readonly type: "choice"; readonly options: ReadonlyArray<GrammarExpression> }
  /** Without `max`, any number of times from `min` on. */
  | { readonly type: "repeat"; readonly of: GrammarExpression; readonly min: number; readonly max: number | undefined }
  | { readonly type: "rule"; readonly name: string };
