/** The cost of work, in tokens. */
import { Schema } from "effect";

export const UsageSchema = Schema.Struct({
  promptTokens: Schema.Number,
  cachedPromptTokens: Schema.Number,
  outputTokens: Schema.Number,
  /** Output tokens that are reasoning; absent for models that do not mark it. */
  reasoningTokens: Schema.optionalKey(Schema.Number),
  /** Output tokens of invalid answers that were replaced by another attempt; absent if there were none. */
  discardedTokens: Schema.optionalKey(Schema.Number),
  /**
   * Tokens that were drafted and verified by speculative decoding; this and the next field are absent if there were
   * none.
   */
  draftedTokens: Schema.optionalKey(Schema.Number),
  /** Drafted tokens that were accepted and are part of the output. */
  acceptedDraftTokens: Schema.optionalKey(Schema.Number),
  /** True if the model's backend does not report the counts; otherwise absent. */
  estimated: Schema.optionalKey(Schema.Boolean),
});
export type Usage = typeof UsageSchema.Type;

export const noUsage: Usage = { promptTokens: 0, cachedPromptTokens: 0, outputTokens: 0 };

/** Adds the usage of two pieces of work. A count that neither has stays absent. */
export const addUsage = (a: Usage, b: Usage): Usage => {
  const counts: Partial<Record<Count, number>> = {};
  for (const name of names) {
    const [ofA, ofB] = [a[name], b[name]];
    if (ofA !== undefined || ofB !== undefined) counts[name] = (ofA ?? 0) + (ofB ?? 0);
  }
  const estimated = a.estimated === true || b.estimated === true;
  return { ...noUsage, ...counts, ...(estimated && { estimated }) };
};

type Count = Exclude<keyof Usage, "estimated">;
const names = (Object.keys(UsageSchema.fields) as ReadonlyArray<keyof Usage>).filter((name) => name !== "estimated");

/** Adds up several answers to one prompt, whose tokens count once. */
export const usageOfAnswers = (answers: ReadonlyArray<Usage>): Usage => {
  const { promptTokens, cachedPromptTokens } = answers.at(-1) ?? noUsage;
  return { ...answers.reduce(addUsage, noUsage), promptTokens, cachedPromptTokens };
};
