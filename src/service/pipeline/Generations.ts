/** Runs generation tasks: resolve the model, render the prompt, admit, generate, account. */
import { Context, type Effect, type Stream } from "effect";

import type { ServiceError } from "../domain/errors.ts";
import type { GenerationEvent, GenerationResult } from "../domain/generation-result.ts";
import type { GenerationTask } from "../domain/generation-task.ts";

export interface TaskOptions {
  /** Whether this is a smoke test. Then the verdict of an earlier smoke test does not block it. */
  readonly isTrial?: boolean;
}

export interface TokenCount {
  readonly model: string;
  readonly promptTokens: number;
  readonly contextLength: number;
  readonly fits: boolean;
  readonly maxOutputTokensLeft: number;
  /** Whether they are estimates. */
  readonly estimated: boolean;
}

export class Generations extends Context.Service<
  Generations,
  {
    /**
     * One `started` event on admission, chunks, and one `finished` event. Interruption drops the sequence and gives every
     * place back.
     */
    readonly stream: (task: GenerationTask, options?: TaskOptions) => Stream.Stream<GenerationEvent, ServiceError>;
    /** As `stream`, collected into one result. */
    readonly run: (task: GenerationTask, options?: TaskOptions) => Effect.Effect<GenerationResult, ServiceError>;
    /** Counts the tokens of the task's prompt, without generating. */
    readonly count: (task: GenerationTask) => Effect.Effect<TokenCount, ServiceError>;
    /** Ends a running or waiting generation with the output so far. False if the caller has no generation of that id. */
    readonly cancel: (generationId: string) => Effect.Effect<boolean>;
  }
>()("mlxd/pipeline/Generations") {}
