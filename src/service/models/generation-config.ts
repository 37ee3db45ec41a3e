import { Schema } from "effect";

import type { ModelDefaults } from "../domain/model.ts";

const maybe = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema));

/** One token id or several, as both config.json and generation_config.json write them. */
export const TokenIds = maybe(Schema.Union([Schema.Int, Schema.Array(Schema.Int)]));

/** What counts of generation_config.json. */
export const GenerationConfigJson = Schema.Struct({
  do_sample: maybe(Schema.Boolean),
  temperature: maybe(Schema.Finite),
  top_p: maybe(Schema.Finite),
  top_k: maybe(Schema.Int),
  min_p: maybe(Schema.Finite),
  repetition_penalty: maybe(Schema.Finite),
  max_new_tokens: maybe(Schema.Int),
  stop_strings: maybe(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
  eos_token_id: TokenIds,
});

/** The sampling that a model's makers recommend; fields that they leave out are absent. */
export const configuredDefaults = (config: typeof GenerationConfigJson.Type): Partial<ModelDefaults> => {
  const stated: { -readonly [K in keyof ModelDefaults]?: ModelDefaults[K] | null | undefined } = {
    temperature: config.do_sample === false ? 0 : config.temperature,
    topP: config.top_p,
    // 0 and -1 switch it off.
    topK: (config.top_k ?? 0) > 0 ? config.top_k : undefined,
    minP: config.min_p,
    repetitionPenalty: config.repetition_penalty,
    maxOutputTokens: config.max_new_tokens,
    stopSequences: typeof config.stop_strings === "string" ? [config.stop_strings] : config.stop_strings,
  };
  return Object.fromEntries(Object.entries(stated).filter(([, value]) => value !== undefined && value !== null));
};

export const tokenIdList = (ids: typeof TokenIds.Type | undefined): ReadonlyArray<number> => {
  if (typeof ids === "number") return [ids];
  return ids ?? [];
};
