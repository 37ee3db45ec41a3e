/** The model families that the service distinguishes; their settings are in models/catalog/families.ts. */
export const families = [
  "gpt-oss",
  "gemma",
  "qwen",
  "llama",
  "mistral",
  "phi",
  "deepseek",
  "yi",
  "claude",
  "gpt-4",
  "gpt-3.5",
  "o1",
  "unknown",
] as const;

export type Family = (typeof families)[number];

/**
 * Chat formats for models whose tokenizer has no chat template; ChatML unless the model's name suggests another one.
 */
export const standInTemplates = ["tokenizer_default", "tokenizer_default_or_gemma", "qwen_chatml", "gpt_oss"] as const;

export type StandInTemplate = (typeof standInTemplates)[number];

/** Rules that remove stray markers from outputs. */
export const cleanUpSteps = ["trim_after_user_marker", "strip_role_tokens"] as const;

export type CleanUpStep = (typeof cleanUpSteps)[number];

/** Default settings for the models of a family. */
export interface FamilyProfile {
  readonly supportsSystem: boolean;
  readonly supportsVision: boolean;
  /** Used if the tokenizer has no chat template. */
  readonly chatTemplate: StandInTemplate;
  /** Best first. */
  readonly preferredEngines: ReadonlyArray<string>;
  readonly temperature: number;
  readonly topP: number;
  readonly maxOutputTokens: number;
  /** Matched in the text, in addition to the checkpoint's end-of-sequence tokens. */
  readonly stopSequences: ReadonlyArray<string>;
  readonly allowsDraft: boolean;
  /** Applied in this order. */
  readonly postprocess: ReadonlyArray<CleanUpStep>;
}
