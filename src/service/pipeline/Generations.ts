/** One request's way through the service: validate, resolve, render, admit, stream, account. */
import { Context, type Effect, type Stream } from "effect";

import type { ServiceError } from "../domain/errors.ts";
import type { GenerationEvent, GenerationResult, GenerationTask } from "../domain/generation.ts";

export interface TaskOptions {
  /** Whether the model is being tried: it is then asked whatever an earlier smoke test said of it. */
  readonly isTrial?: boolean;
}

export interface TokenCount {
  readonly model: string;
  readonly promptTokens: number;
  readonly contextLength: number;
  readonly fits: boolean;
  readonly maxOutputTokensLeft: number;
}

export class Generations extends Context.Service<
  Generations,
  {
    /**
     * Started on admission, chunks, one finished. Interrupting the stream at any moment drops the sequence and gives
     * every place back.
     */
    readonly stream: (task: GenerationTask, options?: TaskOptions) => Stream.Stream<GenerationEvent, ServiceError>;
    /** The same, folded into one result. */
    readonly run: (task: GenerationTask, options?: TaskOptions) => Effect.Effect<GenerationResult, ServiceError>;
    /** What the task's prompt takes, without generating. */
    readonly count: (task: GenerationTask) => Effect.Effect<TokenCount, ServiceError>;
    /** Ends a running or waiting generation with what it has; false when its caller has none of that id. */
    readonly cancel: (generationId: string) => Effect.Effect<boolean>;
  }
>()("mlxd/pipeline/Generations") {}
