/** The families of models that are told apart; what suits each stands in models/catalog/families.ts. */
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

/** What models are written in whose tokenizer has no chat template; ChatML unless the name says another. */
export const standInTemplates = ["tokenizer_default", "tokenizer_default_or_gemma", "qwen_chatml", "gpt_oss"] as const;

export type StandInTemplate = (typeof standInTemplates)[number];

/** Rules that take stray markers out of outputs. */
export const cleanUpSteps = ["trim_after_user_marker", "strip_role_tokens"] as const;

export type CleanUpStep = (typeof cleanUpSteps)[number];

/** What suits the models of a family. */
export interface FamilyProfile {
  readonly supportsSystem: boolean;
  readonly supportsVision: boolean;
  /** What stands in for the chat template that a tokenizer does not have. */
  readonly chatTemplate: StandInTemplate;
  /** Best first. */
  readonly preferredEngines: ReadonlyArray<string>;
  readonly temperature: number;
  readonly topP: number;
  readonly maxOutputTokens: number;
  /** Matched in text, beside the end-of-sequence tokens of the checkpoint. */
  readonly stopSequences: ReadonlyArray<string>;
  readonly allowsDraft: boolean;
  /** In this order. */
  readonly postprocess: ReadonlyArray<CleanUpStep>;
}
