/** Asking a model the question that shows whether it is of use. */
import { Clock, Effect, Stream } from "effect";

import { DeadlineExceeded, type ServiceError } from "../../domain/errors.ts";
import type { GenerationTask } from "../../domain/generation.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";
import type { QualitySettings } from "../../config/QualityConfig.ts";
import { classifyAnswer } from "../../models/smoke/classify-answer.ts";
import type { Generations } from "../Generations.ts";

/** A model without an end is cut here, and judged by what it said until then. */
const timeBudgetMs = 60_000;
/** Waiting for a place among other generations included. */
const deadlineMs = 300_000;
const maxAnswerCharacters = 500;
/** UTF-16 units between two looks at an answer that is not over. */
const glanceEvery = 250;

/**
 * Goes the way of every other generation, and ends as soon as nothing that may follow can mend the answer. The seed
 * makes it repeatable.
 *
 * @param canThink whether its template knows `enable_thinking`: then the answer is wanted, not the way to it
 */
export const smokeTest = Effect.fn("smokeTest")(function* (
  model: string,
  canThink: boolean,
  { smokeQuestion, smokeAnswers }: QualitySettings,
  generations: Generations["Service"],
): Effect.fn.Return<SmokeTest, ServiceError> {
  const testedAt = yield* Clock.currentTimeMillis;
  let text = "";
  let seen = 0;
  const isLost = (): boolean => {
    if (text.length - seen < glanceEvery) return false;
    seen = text.length;
    return text.trim() !== "" && classifyAnswer(text, smokeAnswers).quality === "failed";
  };
  yield* generations.stream(taskFor(model, smokeQuestion, canThink), { isTrial: true }).pipe(
    Stream.tap((event) =>
      Effect.sync(() => {
        if (event.type === "chunk") text += event.text;
      }),
    ),
    Stream.takeUntil(isLost),
    Stream.runDrain,
    Effect.timeoutOrElse({ duration: deadlineMs, orElse: () => Effect.fail(new DeadlineExceeded({})) }),
  );
  const durationMs = (yield* Clock.currentTimeMillis) - testedAt;
  const characters = [...text];
  const answer =
    characters.length > maxAnswerCharacters ? `${characters.slice(0, maxAnswerCharacters).join("")}…` : text;
  return { ...classifyAnswer(text, smokeAnswers), answer, testedAt, durationMs };
});

const taskFor = (model: string, question: string, canThink: boolean): GenerationTask => ({
  model,
  input: {
    type: "chat",
    messages: [
      {
        role: "user",
        content: [{ type: "text", text: question }],
        toolCalls: [],
        toolCallId: "",
        name: "",
        reasoning: "",
      },
    ],
    tools: [],
    toolChoice: { mode: "none" },
    templateOptions: canThink ? { enable_thinking: false } : {},
    continueFinalMessage: false,
  },
  sampling: { seed: 0 },
  stop: { stopSequences: [], stopTokenIds: [], ignoreEos: false, includeStopInOutput: false, timeBudgetMs },
  output: { tokenIds: false, timings: false, verbatim: false, promptLogprobs: false, echoPrompt: false },
  reasoning: {},
  scheduling: { priority: 0, fairnessId: "" },
  cache: { mode: "bypass", partition: "" },
  labels: { purpose: "smoke test" },
});
