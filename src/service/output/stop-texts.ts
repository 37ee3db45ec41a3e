/** Texts that end an output, and whose they are. */

export interface StopText {
  readonly text: string;
  /**
   * Whether it stops where it is written in ordinary tokens; as a special token it always does. `unless-token`: only with a
   * vocabulary that has no such token.
   */
  readonly inText: "always" | "unless-token" | "never";
  /** One of the model's own, which the task did not ask for. */
  readonly isModels: boolean;
}

/** Tags of HTML that some tokenizers use as special tokens. Written out they are more likely HTML. */
const htmlTags: ReadonlySet<string> = new Set(["<s>", "</s>"]);

/** Whether a marker of a family's acts in ordinary text, unless the configuration says so. */
export const actsInText = (marker: string): boolean => !htmlTags.has(marker);

export interface StopOptions {
  /** All that are in force. */
  readonly all: ReadonlyArray<string>;
  readonly asked: ReadonlyArray<string>;
  /** Of the model's own, those that the operator has configured: these stop as they are written. */
  readonly configured: ReadonlyArray<string>;
  /** The text is left as the model writes it. */
  readonly verbatim: boolean;
  /** Special tokens that the output goes on after: the model's stop sequences of these do not stop. */
  readonly goesOnAfter: ReadonlySet<string>;
}

export const stopTexts = ({ all, asked, configured, verbatim, goesOnAfter }: StopOptions): ReadonlyArray<StopText> =>
  all.flatMap((text): ReadonlyArray<StopText> => {
    const isModels = !asked.includes(text);
    if (isModels && goesOnAfter.has(text)) return [];
    if (!isModels || (!verbatim && configured.includes(text))) return [{ text, inText: "always", isModels }];
    return [{ text, inText: verbatim || !actsInText(text) ? "never" : "unless-token", isModels }];
  });
