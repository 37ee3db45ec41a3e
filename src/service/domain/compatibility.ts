/** A model's default settings together with the result of its last smoke test. */
import { canonicalEngine } from "./engine-names.ts";
import type { CleanUpStep, StandInTemplate } from "./family.ts";
import type { ModelStatus } from "./model.ts";
import { modelKey } from "./model-identity.ts";
import type { Quality, SmokeTest } from "./smoke-test.ts";

/** `unknown` if the model was not tested at its current revision. */
export type CompatibilityStatus = Quality | "unknown";

export interface CompatibilityProfile {
  /** `engine:id` */
  readonly key: string;
  readonly modelId: string;
  /** The engine's canonical name. */
  readonly engine: string;
  readonly family: string;
  readonly template: StandInTemplate;
  readonly stopSequences: ReadonlyArray<string>;
  readonly temperature: number;
  readonly topP: number;
  readonly maxOutputTokens: number;
  readonly disableDraft: boolean;
  readonly postprocess: ReadonlyArray<CleanUpStep>;
  readonly supportsSystem: boolean;
  readonly supportsVision: boolean;
  /** Best first. */
  readonly preferredEngines: ReadonlyArray<string>;
  /** Whether an engine holds the model in memory now. */
  readonly loaded: boolean;
  /** Whether the model was tested and did not fail. */
  readonly chatCompatible: boolean;
  readonly qualityStatus: CompatibilityStatus;
  /** What the test found; undefined for `ok` and `unknown`. */
  readonly lastTestError: string | undefined;
  /** Epoch milliseconds. */
  readonly validatedAt: number | undefined;
}

/** @param test the result at the model's current revision; undefined if it was not tested */
export const compatibilityOf = (
  { facts, profile, state }: Pick<ModelStatus, "facts" | "profile" | "state">,
  test: SmokeTest | undefined,
): CompatibilityProfile => ({
  key: modelKey(facts.engine, facts.id),
  modelId: facts.id,
  engine: canonicalEngine(facts.engine) ?? facts.engine,
  family: facts.family,
  template: profile.chatTemplate,
  stopSequences: facts.defaults.stopSequences,
  temperature: facts.defaults.temperature,
  topP: facts.defaults.topP,
  maxOutputTokens: facts.defaults.maxOutputTokens,
  disableDraft: !profile.allowsDraft,
  postprocess: profile.postprocess,
  supportsSystem: profile.supportsSystem,
  supportsVision: profile.supportsVision,
  preferredEngines: profile.preferredEngines,
  loaded: state === "active" || state === "draining",
  chatCompatible: isOfUse(test?.quality ?? "unknown"),
  qualityStatus: test?.quality ?? "unknown",
  lastTestError: test === undefined || test.quality === "ok" ? undefined : test.reason,
  validatedAt: test?.testedAt,
});

/** A test with minor findings still counts as passed. */
const isOfUse = (status: CompatibilityStatus): boolean => status === "ok" || status === "degraded";
