/** What happens to a sequence, in the order in which it is reported. */

export type SequenceEvent =
  /** Its prefill begins. */
  | { readonly type: "admitted"; readonly sequence: number; readonly cachedPromptTokens: number }
  /** Part of the work before its first token is done: a slice of its prompt, or a part of its adapter. */
  | { readonly type: "progress"; readonly sequence: number }
  /** Logprobs of the prompt's next tokens, slice by slice, from the second token on: nothing precedes the first. */
  | { readonly type: "prompt"; readonly sequence: number; readonly logprobs: ReadonlyArray<TokenLogprobs> }
  | {
      readonly type: "token";
      readonly sequence: number;
      readonly tokenId: number;
      /** If requested. */
      readonly logprobs?: TokenLogprobs;
      /** Whether it was drafted. */
      readonly drafted?: true;
    }
  /** This many of its next tokens were drafted; those that were accepted follow. */
  | { readonly type: "drafted"; readonly sequence: number; readonly tokens: number }
  /** Sent after its last token. */
  | { readonly type: "finished"; readonly sequence: number; readonly reason: SequenceEnd }
  | {
      readonly type: "refused";
      readonly sequence: number;
      readonly neededBytes: number;
      readonly availableBytes: number;
    }
  /** The requested vector; the last event of this sequence. */
  | { readonly type: "embedding"; readonly sequence: number; readonly vector: Float32Array }
  /** Its adapter cannot be loaded; sent instead of `admitted`. The reason names a file, tensor or key, never a path. */
  | { readonly type: "adapter-failed"; readonly sequence: number; readonly reason: string }
  /** Its constraint cannot be enforced. */
  | { readonly type: "unconstrainable"; readonly sequence: number; readonly reason: string };

/**
 * Natural logarithms of probabilities, after penalties and bias and before filters and temperature. For forced tokens,
 * too, they say how likely the token was at its place.
 */
export interface TokenLogprobs {
  /** Of the token itself. */
  readonly logprob: number;
  /** The most likely tokens at its place, best first, as many as requested. */
  readonly top: ReadonlyArray<{ readonly tokenId: number; readonly logprob: number }>;
}

export type SequenceEnd = "stop-token" | "max-output-tokens" | "constraint-complete" | "time-budget";
