/** The tokens that open and close reasoning, and those between the reasoning and the answer. */
import type { OutputFormat } from "./output-format.ts";

export interface ReasoningMarks {
  readonly openTokenIds: ReadonlyArray<number>;
  readonly closeTokenIds: ReadonlyArray<number>;
  /** The tokens after the reasoning if the answer is text. */
  readonly answerTokenIds: ReadonlyArray<number>;
  /** The tokens after the reasoning if the answer is a call. */
  readonly callTokenIds: ReadonlyArray<number>;
}

/** @param ids tokenises a text without adding special tokens */
export const reasoningMarks = (
  { reasoningTags }: OutputFormat,
  ids: (text: string) => ReadonlyArray<number>,
): ReasoningMarks => {
  if (reasoningTags !== undefined) {
    const answerTokenIds = ids("\n\n");
    return {
      openTokenIds: ids(reasoningTags.open),
      closeTokenIds: ids(reasoningTags.close),
      answerTokenIds,
      callTokenIds: answerTokenIds,
    };
  }
  return {
    openTokenIds: ids("<|channel|>analysis<|message|>"),
    closeTokenIds: ids("<|end|>"),
    answerTokenIds: ids("<|start|>assistant<|channel|>final<|message|>"),
    // The channel of a call is part of its notation.
    callTokenIds: ids("<|start|>assistant"),
  };
};
