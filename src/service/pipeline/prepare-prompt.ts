/** From a task to the token ids that its model continues. */
import { Effect } from "effect";

import {
  ContextLengthExceeded,
  InvalidField,
  ModelRevisionMismatch,
  UnsupportedParameter,
  UnsupportedTask,
} from "../domain/errors.ts";
import type { ChatInput, GenerationTask } from "../domain/generation.ts";
import type { ModelFacts } from "../domain/model.ts";
import type { PromptTools } from "../models/Models.ts";
import { ChatTemplateRefused } from "../prompt/chat-template.ts";
import { encodeWithin } from "../prompt/encode-within.ts";

export type PromptFailure =
  | ContextLengthExceeded
  | InvalidField
  | ModelRevisionMismatch
  | UnsupportedParameter
  | UnsupportedTask;

/** What the task asks of this model is checked first, so that nothing is computed for a task that cannot run. */
export const preparePrompt = Effect.fn("preparePrompt")(function* (
  task: GenerationTask,
  tools: PromptTools,
): Effect.fn.Return<ReadonlyArray<number>, PromptFailure> {
  yield* checkTask(task, tools.facts);
  switch (task.input.type) {
    case "tokens":
      return task.input.ids;
    case "prompt":
      return yield* tokenize(task.input.text, tools, true);
    case "chat":
      // A template writes the tokens around a conversation itself.
      return yield* tokenize(yield* render(task.input, tools), tools, false);
  }
});

const checkTask = (task: GenerationTask, facts: ModelFacts): Effect.Effect<void, PromptFailure> => {
  const { input, stop } = task;
  const asked = task.modelRevision;
  if (asked !== undefined && asked !== facts.revision) {
    return Effect.fail(new ModelRevisionMismatch({ model: facts.id, asked, loaded: facts.revision }));
  }
  if (input.type === "chat") {
    if (!facts.capabilities.chat) return Effect.fail(new UnsupportedTask({ task: "chat", model: facts.id }));
    if (input.tools.length > 0 && !facts.capabilities.tools) {
      const hint = "its chat template has no place for tools";
      return Effect.fail(new UnsupportedParameter({ field: "task.chat.tools", model: facts.id, hint }));
    }
  }
  const violations = [
    ...tokenViolations("task.stop.stop_token_ids", stop.stopTokenIds, facts),
    ...(input.type === "tokens" ? tokenViolations("task.tokens.ids", input.ids, facts) : []),
    ...outputLimitViolations(stop),
  ];
  return violations.length > 0 ? Effect.fail(new InvalidField({ violations })) : Effect.void;
};

const tokenViolations = (field: string, ids: ReadonlyArray<number>, { vocabularySize, id: model }: ModelFacts) => {
  const index = ids.findIndex((id) => id >= vocabularySize);
  if (index < 0) return [];
  const description = `${ids[index]} is no token of model "${model}", whose vocabulary has ${vocabularySize}`;
  return [{ field: `${field}[${index}]`, description }];
};

const outputLimitViolations = ({ minOutputTokens = 0, maxOutputTokens }: GenerationTask["stop"]) => {
  if (maxOutputTokens === undefined || minOutputTokens <= maxOutputTokens) return [];
  const description = `${minOutputTokens} is more than max_output_tokens, which is ${maxOutputTokens}`;
  return [{ field: "task.stop.min_output_tokens", description }];
};

const render = (chat: ChatInput, { chatTemplate }: PromptTools): Effect.Effect<string, InvalidField> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(chatTemplate.render(chat));
    } catch (cause) {
      if (!(cause instanceof ChatTemplateRefused)) throw cause;
      const description = `the model's chat template refuses the conversation: ${cause.reason}`;
      return Effect.fail(new InvalidField({ violations: [{ field: "task.chat.messages", description }] }));
    }
  });

/** A text that is far too long is refused before most of it is tokenised. */
const tokenize = (
  text: string,
  { tokenizer, facts: { contextLength } }: PromptTools,
  addSpecialTokens: boolean,
): Effect.Effect<ReadonlyArray<number>, ContextLengthExceeded> =>
  Effect.suspend(() => Effect.fromResult(encodeWithin(tokenizer, text, { addSpecialTokens }, contextLength))).pipe(
    Effect.mapError(
      (promptTokens) => new ContextLengthExceeded({ promptTokens, maxOutputTokens: 1, contextLength, estimated: true }),
    ),
  );
