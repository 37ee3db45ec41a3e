import { Schema } from "effect";

import type { ModelDefaults } from "../domain/model.ts";

const maybe = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema));

/** One token id or several; config.json and generation_config.json may have either. */
export const TokenIds = maybe(Schema.Union([Schema.Int, Schema.Array(Schema.Int)]));

/** The keys of generation_config.json that are used. */
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

export interface ConfiguredDefaults {
  /** Fields that the file does not set, or sets to a value outside of the bounds for requests, are absent. */
  readonly defaults: Partial<ModelDefaults>;
  /** What was left out, and why. */
  readonly notes: ReadonlyArray<string>;
}

/** The sampling parameters that the model's authors recommend. */
export const configuredDefaults = (config: typeof GenerationConfigJson.Type): ConfiguredDefaults => {
  const defaults: { -readonly [K in keyof ModelDefaults]?: ModelDefaults[K] } = {};
  const notes: string[] = [];
  const take = (key: NumberKey, field: NumericDefault, value: number | null | undefined): void => {
    if (value === undefined || value === null) return;
    const { fits, bounds } = ranges[field];
    if (fits(value)) defaults[field] = value;
    else notes.push(`${key} ${value} of generation_config.json is not used: it must be ${bounds}`);
  };
  take("temperature", "temperature", config.do_sample === false ? 0 : config.temperature);
  take("top_p", "topP", config.top_p);
  // 0 and -1 disable it.
  take("top_k", "topK", config.top_k === 0 || config.top_k === -1 ? undefined : config.top_k);
  take("min_p", "minP", config.min_p);
  take("repetition_penalty", "repetitionPenalty", config.repetition_penalty);
  take("max_new_tokens", "maxOutputTokens", config.max_new_tokens);
  const stops = typeof config.stop_strings === "string" ? [config.stop_strings] : config.stop_strings;
  if (stops !== undefined && stops !== null) {
    const usable = stops.filter(isStopSequence).slice(0, maxStopSequences);
    defaults.stopSequences = usable;
    if (usable.length < stops.length) {
      notes.push(
        `${stops.length - usable.length} of stop_strings of generation_config.json are not used: ` +
          `there may be ${maxStopSequences}, of 1..${maxStopBytes} bytes each`,
      );
    }
  }
  return { defaults, notes };
};

type NumberKey = "temperature" | "top_p" | "top_k" | "min_p" | "repetition_penalty" | "max_new_tokens";
type NumericDefault = "temperature" | "topP" | "topK" | "minP" | "repetitionPenalty" | "maxOutputTokens";

interface Range {
  readonly fits: (value: number) => boolean;
  readonly bounds: string;
}

const from = (minimum: number, maximum: number): Range => ({
  fits: (value) => value >= minimum && value <= maximum,
  bounds: `${minimum}..${maximum}`,
});
const over = (minimum: number, maximum: number): Range => ({
  fits: (value) => value > minimum && value <= maximum,
  bounds: `over ${minimum}, and at most ${maximum}`,
});

/** The same bounds as for requests. */
const ranges: Readonly<Record<NumericDefault, Range>> = {
  temperature: from(0, 2),
  topP: over(0, 1),
  topK: from(1, 2 ** 32 - 1),
  minP: from(0, 1),
  repetitionPenalty: over(0, 2),
  maxOutputTokens: from(1, 2 ** 32 - 1),
};
const maxStopSequences = 8;
const maxStopBytes = 256;

const isStopSequence = (text: string): boolean => text !== "" && Buffer.byteLength(text) <= maxStopBytes;

export const tokenIdList = (ids: typeof TokenIds.Type | undefined): ReadonlyArray<number> => {
  if (typeof ids === "number") return [ids];
  return ids ?? [];
};
