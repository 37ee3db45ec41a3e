/** What work has cost, in tokens. */
import { Schema } from "effect";

export const UsageSchema = Schema.Struct({
  promptTokens: Schema.Number,
  cachedPromptTokens: Schema.Number,
  outputTokens: Schema.Number,
  /** Of these, tokens of reasoning; of models that mark none, absent. */
  reasoningTokens: Schema.optionalKey(Schema.Number),
  /** Of the output tokens, those of a broken answer in whose place another one was given; absent where there was none. */
  discardedTokens: Schema.optionalKey(Schema.Number),
  /** Tokens that were drafted and verified; where none were both are absent. */
  draftedTokens: Schema.optionalKey(Schema.Number),
  /** Of these, those that were right and so are among the output's. */
  acceptedDraftTokens: Schema.optionalKey(Schema.Number),
  /** True where the model's backend does not tell the counts; otherwise absent. */
  estimated: Schema.optionalKey(Schema.Boolean),
});
export type Usage = typeof UsageSchema.Type;

export const noUsage: Usage = { promptTokens: 0, cachedPromptTokens: 0, outputTokens: 0 };

/** Of two pieces of work. A count that neither has is absent. */
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

/** Of several answers to one prompt, which counts once. */
export const usageOfAnswers = (answers: ReadonlyArray<Usage>): Usage => {
  const { promptTokens, cachedPromptTokens } = answers.at(-1) ?? noUsage;
  return { ...answers.reduce(addUsage, noUsage), promptTokens, cachedPromptTokens };
};
