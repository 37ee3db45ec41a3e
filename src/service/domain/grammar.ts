/** The form of an output: a context-free grammar over code points. */
export interface Grammar {
  readonly root: string;
  readonly rules: Readonly<Record<string, GrammarExpression>>;
}

export type GrammarExpression =
  | { readonly type: "text"; readonly text: string }
  /** One of these code points, first and last of each range; in order, without surrogates. */
  | { readonly type: "chars"; readonly ranges: ReadonlyArray<CodePointRange> }
  | { readonly type: "sequence"; readonly parts: ReadonlyArray<GrammarExpression> }
  | { readonly type: "choice"; readonly options: ReadonlyArray<GrammarExpression> }
  /** `max` undefined: any number. */
  | { readonly type: "repeat"; readonly of: GrammarExpression; readonly min: number; readonly max: number | undefined }
  | { readonly type: "rule"; readonly name: string };

export type CodePointRange = readonly [first: number, last: number];
