/** The form of an output as a context-free grammar over code points. */
export interface Grammar {
  readonly root: string;
  readonly rules: Readonly<Record<string, GrammarExpression>>;
}

export type GrammarExpression =
  | { readonly type: "text"; readonly text: string }
  /** One code point of these inclusive ranges, which are sorted and contain no surrogates. */
  | { readonly type: "chars"; readonly ranges: ReadonlyArray<CodePointRange> }
  | { readonly type: "sequence"; readonly parts: ReadonlyArray<GrammarExpression> }
  | { readonly type: "choice"; readonly options: ReadonlyArray<GrammarExpression> }
  /** No `max` means any number. */
  | { readonly type: "repeat"; readonly of: GrammarExpression; readonly min: number; readonly max: number | undefined }
  | { readonly type: "rule"; readonly name: string };

export type CodePointRange = readonly [first: number, last: number];
