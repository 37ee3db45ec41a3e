/** Asks a model a question whose answer shows whether it is usable. */
import { Clock, Effect, Stream } from "effect";

import { elapsedMs } from "../../domain/elapsed.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import { DeadlineExceeded, type ServiceError } from "../../domain/errors.ts";
import type { GenerationTask } from "../../domain/generation-task.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";
import type { QualitySettings } from "../../config/QualityConfig.ts";
import { classifyAnswer } from "../../models/smoke/classify-answer.ts";
import type { Generations } from "../Generations.ts";

/** An answer that does not end is cut off after this time, and judged by what was written until then. */
const timeBudgetMs = 60_000;
/** Includes waiting for a place among other generations. */
const deadlineMs = 300_000;
const maxAnswerCharacters = 500;
/** After how many UTF-16 units an unfinished answer is judged again. */
const glanceEvery = 250;

/**
 * Runs like every other generation, and ends as soon as nothing that follows could change the result. The seed makes it
 * repeatable if the engine supports one.
 *
 * @param supports whether the model's engine supports an option of the task; options that it does not support are left
 *   out
 */
export const smokeTest = Effect.fn("smokeTest")(function* (
  model: string,
  supports: (option: ConversationOption) => boolean,
  { smokeQuestion, smokeAnswers }: QualitySettings,
  generations: Generations["Service"],
): Effect.fn.Return<SmokeTest, ServiceError> {
  const testedAt = yield* Clock.currentTimeMillis;
  const beganAt = yield* elapsedMs;
  let text = "";
  let seen = 0;
  const isLost = (): boolean => {
    if (text.length - seen < glanceEvery) return false;
    seen = text.length;
    return text.trim() !== "" && classifyAnswer(text, smokeAnswers).quality === "failed";
  };
  yield* generations.stream(taskFor(model, smokeQuestion, supports), { isTrial: true }).pipe(
    Stream.tap((event) =>
      Effect.sync(() => {
        if (event.type === "chunk") text += event.text;
      }),
    ),
    Stream.takeUntil(isLost),
    Stream.runDrain,
    Effect.timeoutOrElse({ duration: deadlineMs, orElse: () => Effect.fail(new DeadlineExceeded({})) }),
  );
  const durationMs = (yield* elapsedMs) - beganAt;
  const characters = [...text];
  const answer =
    characters.length > maxAnswerCharacters ? `${characters.slice(0, maxAnswerCharacters).join("")}…` : text;
  return { ...classifyAnswer(text, smokeAnswers), answer, testedAt, durationMs };
});

const taskFor = (
  model: string,
  question: string,
  supports: (option: ConversationOption) => boolean,
): GenerationTask => ({
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
    toolChoice: { mode: supports("chat.tool_choice") ? "none" : "auto" },
    // Only the answer is needed, not the reasoning.
    templateOptions: supports("chat.template_options") ? { enable_thinking: false } : {},
    continueFinalMessage: false,
  },
  sampling: supports("sampling.seed") ? { seed: 0 } : {},
  stop: {
    stopSequences: [],
    stopTokenIds: [],
    ignoreEos: false,
    includeStopInOutput: false,
    ...(supports("stop.time_budget") && { timeBudgetMs }),
  },
  output: { tokenIds: false, timings: false, verbatim: false, promptLogprobs: false, echoPrompt: false },
  reasoning: {},
  scheduling: { priority: 0, fairnessId: "" },
  cache: { mode: supports("cache.mode") ? "bypass" : "read-write", partition: "" },
  labels: { purpose: "smoke test" },
});
