/** Generations on a scripted engine whose model has a token for each character. */
import { assert } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { Admission } from "../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../src/service/config/AdmissionConfig.ts";
import type { QualitySettings } from "../../src/service/config/QualityConfig.ts";
import { ModelNotFound } from "../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../src/service/domain/generation-task.ts";
import type { ModelFacts } from "../../src/service/domain/model.ts";
import type { OutputFormat } from "../../src/service/output/output-format.ts";
import { familyProfile } from "../../src/service/models/catalog/families.ts";
import { Models } from "../../src/service/models/Models.ts";
import { SmokeTests } from "../../src/service/models/smoke/SmokeTests.ts";
import type { Generations } from "../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../src/service/pipeline/run-generations.ts";
import type { TemplateShape } from "../../src/service/prompt/template-shape.ts";
import { ChatTemplateRefused } from "../../src/service/prompt/chat-template.ts";
import { Metrics } from "../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../src/service/telemetry/Stats.ts";
import { openAccess } from "./open-access.ts";
import { tokenModel } from "./model-in-use.ts";
import { quality } from "./quality.ts";
import { makeScriptedEngine, type ScriptedEngine } from "./scripted-engine.ts";
import { textTools } from "./text-tools.ts";
import { facts } from "./tasks.ts";

/** One token for each character. */
const tokenizer = {
  vocabularySize: 256,
  longestTokenBytes: 4,
  isSpecial: () => false,
  encode: (text: string) => Array.from(text, (character) => (character.codePointAt(0) ?? 0) % 256),
  decode: (ids: ReadonlyArray<number>) => String.fromCodePoint(...ids),
  piece: (id: number) => String.fromCodePoint(id),
  bytes: (id: number) => new TextEncoder().encode(String.fromCodePoint(id)),
};

const chatTemplate = {
  template: { options: ["enable_thinking"] },
  render: ({ messages }: Extract<GenerationTask["input"], { type: "chat" }>) => {
    if (messages.some(({ role }) => role === "tool")) throw new ChatTemplateRefused("no tools here");
    return messages
      .map(({ content }) => content.map((part) => (part.type === "text" ? part.text : "")).join(""))
      .join("|");
  },
};

const outputFormat: OutputFormat = { notation: "tagged", reasoningTags: undefined, cleanUp: ["strip_role_tokens"] };
export const thinking: OutputFormat = { ...outputFormat, reasoningTags: { open: "<t>", close: "</t>" } };

export const withTools = facts({ capabilities: { ...facts().capabilities, tools: true } });

/** Runs a test against the pipeline on a scripted engine. */
export const withPipeline = <A, E>(
  script: Parameters<typeof makeScriptedEngine>[0],
  test: (engine: ScriptedEngine) => Effect.Effect<A, E, Generations | Stats>,
  limits = { maxRunning: 2, maxQueued: 2 },
  model: {
    readonly facts?: ModelFacts;
    readonly outputFormat?: OutputFormat;
    readonly template?: Partial<TemplateShape>;
  } = {},
  tried: Partial<QualitySettings> = {},
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const models = Layer.mock(Models)({
      use: (name) =>
        name === "" || name === "tiny"
          ? Effect.succeed(
              tokenModel(
                {
                  facts: facts(),
                  profile: familyProfile("unknown"),
                  ...textTools({
                    tokenizer,
                    ...chatTemplate,
                    outputFormat: model.outputFormat ?? outputFormat,
                    ...(model.template && { template: model.template }),
                  }),
                  ...(model.facts && { facts: model.facts }),
                },
                Effect.succeed(engine),
              ),
            )
          : Effect.fail(new ModelNotFound({ model: name, nearest: [] })),
    });
    const smokeTests = Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined });
    const base = Layer.mergeAll(
      models,
      smokeTests,
      quality(tried),
      Stats.layer,
      openAccess,
      Metrics.layer,
      Layer.succeed(AdmissionConfig, limits),
    );
    const layer = generationsLayer.pipe(Layer.provideMerge(Admission.layer), Layer.provideMerge(base));
    return yield* test(engine).pipe(Effect.provide(layer));
  });

export const assertIdle = Effect.gen(function* () {
  const stats = (yield* (yield* Stats).snapshot).get("tiny");
  assert.strictEqual(stats?.running ?? 0, 0);
  assert.strictEqual(stats?.queued ?? 0, 0);
});
