/** What a model's files say about its prompts and its output. */
import type { Effect } from "effect";

import type { FamilyProfile } from "../../domain/family.ts";
import type { ModelFacts } from "../../domain/model.ts";
import type { OutputFormat } from "../../output/output-format.ts";
import type { ReasoningMarks } from "../../output/reasoning-marks.ts";
import type { TemplateShape } from "../../prompt/template-shape.ts";
import type { Vocabulary } from "../../prompt/Vocabulary.ts";
import type { Grammars } from "./grammars.ts";
import type { Texts } from "./texts.ts";

/** Everything that is needed to make a prompt, without an engine. */
export interface PromptTools {
  readonly facts: ModelFacts;
  readonly profile: FamilyProfile;
  readonly vocabulary: Vocabulary;
  readonly outputFormat: OutputFormat;
  readonly reasoningMarks: ReasoningMarks;
  /** What its chat template supports. */
  readonly template: TemplateShape;
  readonly texts: Texts;
  readonly grammars: Grammars;
  /** The current revision of the adapter in a folder; undefined if it cannot be read. */
  readonly adapterRevision: (directory: string) => Effect.Effect<string | undefined>;
}
