/** Refuses stream options for an answer that is not a stream. */
import { Effect } from "effect";

import { UnsupportedParameter } from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation-task.ts";

export const inOnePiece = (task: GenerationTask): Effect.Effect<GenerationTask, UnsupportedParameter> => {
  const { flushTokens, flushIntervalMs } = task.output;
  if (flushTokens === undefined && flushIntervalMs === undefined) return Effect.succeed(task);
  const field = `task.output.${flushTokens === undefined ? "flush_interval" : "flush_tokens"}`;
  const hint = "it is for streams: this call answers in one piece";
  return Effect.fail(new UnsupportedParameter({ field, model: task.model, hint }));
};
