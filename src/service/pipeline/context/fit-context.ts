/**
 * Shortens a conversation that does not fit the model's context, if its task has a policy for that, by leaving out the
 * oldest turns.
 */
import { Effect } from "effect";

import type { ServiceError } from "../../domain/errors.ts";
import type { ContextReport, GenerationStarted } from "../../domain/generation-result.ts";
import type { GenerationTask } from "../../domain/generation-task.ts";
import { addUsage, noUsage, type Usage } from "../../domain/usage.ts";
import { type Emit, HeldAnswer } from "../HeldAnswer.ts";
import { dropOldest } from "./conversation-units.ts";
import { type Ask, summarise, type Summary, withSummary } from "./summarise.ts";

interface Fitting {
  readonly task: GenerationTask;
  readonly ask: Ask;
  readonly emit: Emit;
  /** Called with the usage of a summary. */
  readonly onSpent: (usage: Usage) => void;
}

/**
 * Tries the whole conversation first, and then less and less of it until it fits. The `started` event reports what was
 * left out. The original error stays if there is no policy, nothing more to leave out, or no summary from the model.
 */
export const fitContext = Effect.fnUntraced(function* ({
  task: { contextPolicy, ...task },
  ask,
  emit,
  onSpent,
}: Fitting): Effect.fn.Return<void, ServiceError> {
  const { input } = task;
  if (contextPolicy === undefined || input.type !== "chat") return yield* ask(task, emit);
  let { messages } = input;
  let droppedMessages = 0;
  let told: Summary | undefined;
  for (;;) {
    const context: ContextReport | undefined = droppedMessages === 0 ? undefined : { droppedMessages, ...told };
    const begin = (started: GenerationStarted) => (context === undefined ? started : { ...started, context });
    const answer = new HeldAnswer(begin, true, emit);
    const asked = told === undefined ? messages : withSummary(messages, told.summary);
    const result = yield* Effect.result(ask({ ...task, input: { ...input, messages: asked } }, answer.onEvent));
    if (result._tag === "Success") return answer.release();
    const { failure } = result;
    const share = answer.isReleased ? undefined : excessOf(failure, task.stop.maxOutputTokens);
    const shortened = share === undefined ? undefined : dropOldest(messages, share);
    if (shortened === undefined) return yield* Effect.fail(failure);
    messages = shortened.kept;
    droppedMessages += shortened.dropped.length;
    if (contextPolicy === "drop-oldest") continue;
    const before = told?.summary ?? "";
    const summarising = { task, ask, onSpent, before, messages: shortened.dropped };
    const written = yield* summarise({ ...summarising, longestTokens: longestSummary(failure) });
    if (written === undefined) {
      yield* Effect.annotateLogs(Effect.logWarning("a model wrote no summary"), { model: task.model });
      return yield* Effect.fail(failure);
    }
    told = { ...written, summaryUsage: addUsage(told?.summaryUsage ?? noUsage, written.summaryUsage) };
  }
});

/** The share of the conversation that is too long; undefined if its length is not the problem. */
const excessOf = (error: ServiceError, maxOutputTokens: number | undefined): number | undefined => {
  // Another server does not say by how much.
  if (error._tag === "BackendContextExceeded") return guessedShare;
  if (error._tag !== "ContextLengthExceeded") return undefined;
  const { promptTokens, contextLength } = error;
  // Without an explicit limit, the answer would get whatever is left, which may be a single token.
  const room = maxOutputTokens ?? Math.ceil(contextLength * shareOfAnswer);
  return Math.max(0, promptTokens + room - contextLength) / Math.max(1, promptTokens);
};

const guessedShare = 0.25;
const shareOfAnswer = 0.25;

/** In tokens. A summary takes room from the conversation. */
const longestSummary = (error: ServiceError): number =>
  error._tag === "ContextLengthExceeded" ? Math.min(mostTokens, Math.ceil(error.contextLength / 8)) : mostTokens;

const mostTokens = 512;
