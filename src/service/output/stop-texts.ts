/** Texts that end an output, and where they come from. */

export interface StopText {
  readonly text: string;
  /**
   * Whether it stops the output when written in ordinary tokens; as a special token it always does. `unless-token`:
   * only if the vocabulary has no such special token.
   */
  readonly inText: "always" | "unless-token" | "never";
  /** Whether it is the model's own and not requested by the task. */
  readonly isModels: boolean;
}

/** HTML tags that some tokenizers use as special tokens. Written in ordinary text they are more likely HTML. */
const htmlTags: ReadonlySet<string> = new Set(["<s>", "</s>"]);

/** Whether a family's marker acts in ordinary text, unless the configuration says otherwise. */
export const actsInText = (marker: string): boolean => !htmlTags.has(marker);

export interface StopOptions {
  /** All stop sequences of the task and the model. */
  readonly all: ReadonlyArray<string>;
  readonly asked: ReadonlyArray<string>;
  /** The model's stop sequences that the operator has configured: they act in ordinary text, too. */
  readonly configured: ReadonlyArray<string>;
  /** Whether the text is left as the model writes it. */
  readonly verbatim: boolean;
  /** Special tokens that do not end the output: the model's stop sequences that equal one are ignored. */
  readonly goesOnAfter: ReadonlySet<string>;
}

export const stopTexts = ({ all, asked, configured, verbatim, goesOnAfter }: StopOptions): ReadonlyArray<StopText> =>
  all.flatMap((text): ReadonlyArray<StopText> => {
    const isModels = !asked.includes(text);
    if (isModels && goesOnAfter.has(text)) return [];
    if (!isModels || (!verbatim && configured.includes(text))) return [{ text, inText: "always", isModels }];
    return [{ text, inText: verbatim || !actsInText(text) ? "never" : "unless-token", isModels }];
  });
