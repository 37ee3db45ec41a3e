/** A pipeline that plays scripts instead of running models; for tests of the edge. */
import { Effect, Layer, Stream } from "effect";

import { type Call, CurrentCall } from "../../src/service/domain/Call.ts";
import type { ServiceError } from "../../src/service/domain/errors.ts";
import type {
  GenerationChunk,
  GenerationEvent,
  GenerationFinished,
  GenerationResult,
  GenerationStarted,
} from "../../src/service/domain/generation-result.ts";
import type { EffectiveParameters, GenerationTask } from "../../src/service/domain/generation-task.ts";
import { collectResult } from "../../src/service/pipeline/collect-result.ts";
import { type TaskOptions, Generations, type TokenCount } from "../../src/service/pipeline/Generations.ts";

export interface GenerationScript {
  /** By default the words of a fixed text, then finished. */
  readonly stream?: (task: GenerationTask, options?: TaskOptions) => Stream.Stream<GenerationEvent, ServiceError>;
  /** By default the stream, folded. */
  readonly run?: (task: GenerationTask, options?: TaskOptions) => Effect.Effect<GenerationResult, ServiceError>;
  readonly count?: (task: GenerationTask) => Effect.Effect<TokenCount, ServiceError>;
  readonly cancel?: (generationId: string) => Effect.Effect<boolean>;
}

const parameters: EffectiveParameters = {
  temperature: 0.7,
  topP: 1,
  topK: undefined,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 42,
  maxOutputTokens: 64,
  minOutputTokens: 0,
  stopSequences: ["<|end|>"],
  stopTokenIds: [2],
};

export const started: GenerationStarted = {
  type: "started",
  generationId: "gen_1",
  model: "demo",
  modelRevision: "r1",
  promptTokens: 5,
  cachedPromptTokens: 2,
  parameters,
  prompt: [],
};

export const chunk = (text: string, outputTokens: number): GenerationChunk => ({
  type: "chunk",
  candidateIndex: 0,
  text,
  reasoning: "",
  toolCalls: [],
  tokenIds: [100 + outputTokens],
  logprobs: [],
  outputTokens,
});

export const finished = (outputTokens: number): GenerationFinished => ({
  type: "finished",
  candidateIndex: 0,
  finishReason: "end-of-sequence",
  matched: { type: "token", tokenId: 2 },
  usage: { promptTokens: 5, cachedPromptTokens: 2, outputTokens },
  timings: { queueMs: 1.25, timeToFirstTokenMs: 2.5, decodeMs: 3, totalMs: 6.75 },
  warnings: [],
});

/** A whole generation: started, one chunk for each text, finished. */
export const eventsOf = (texts: ReadonlyArray<string>): ReadonlyArray<GenerationEvent> => [
  started,
  ...texts.map((text, index) => chunk(text, index + 1)),
  finished(texts.length),
];

/** The result that these events are folded into. */
export { collectResult as resultOf };

export const defaultTexts = ["Once ", "upon ", "a ", "time 🦊"];

/** The prompt of a task that has one. */
export const promptOf = ({ input }: GenerationTask): string => (input.type === "prompt" ? input.text : "");

/** Tells the call how far its generation has come, as the pipeline does. */
const reporting = (follow: Call["follow"]) => (event: GenerationEvent) =>
  Effect.sync(() => {
    const outputTokens = event.type === "chunk" ? event.outputTokens : 0;
    follow(() => ({
      generationId: started.generationId,
      usage: { promptTokens: 5, cachedPromptTokens: 2, outputTokens },
    }));
  });

export const scriptedGenerations = (script: GenerationScript): Layer.Layer<Generations> => {
  const play = script.stream ?? (() => Stream.fromIterable(eventsOf(defaultTexts)));
  const stream: NonNullable<GenerationScript["stream"]> = (task, options) =>
    Stream.unwrap(Effect.map(CurrentCall, ({ follow }) => Stream.tap(play(task, options), reporting(follow))));
  const run: GenerationScript["run"] = (task, options) =>
    Stream.runCollect(stream(task, options)).pipe(Effect.map(collectResult));
  return Layer.succeed(
    Generations,
    Generations.of({
      stream,
      run: script.run ?? run,
      count:
        script.count ??
        (() =>
          Effect.succeed({
            model: "demo",
            promptTokens: 5,
            contextLength: 512,
            fits: true,
            maxOutputTokensLeft: 507,
            estimated: false,
          })),
      cancel: script.cancel ?? (() => Effect.succeed(false)),
    }),
  );
};
