/** A task that is ready to run, whatever its model's engine takes. */
import type { Effect, Scope } from "effect";

import type { LoadFailure } from "../domain/errors.ts";
import type { EffectiveParameters } from "../domain/generation.ts";
import type { EngineFailure } from "../engine/Engine.ts";
import type { GenerationRecord } from "./GenerationRecord.ts";
import type { Retried } from "./recovery.ts";

export interface PreparedRun {
  readonly parameters: EffectiveParameters;
  /** Undefined where the engine tells it. */
  readonly promptTokens: number | undefined;
  /** What every answer's text begins with. */
  readonly echo: string;
  /** Whether reasoning is told apart. */
  readonly reasons: boolean;
  /** Takes the model's engine, for as long as the scope is open. */
  readonly begin: (options: RunOptions) => Effect.Effect<BegunRun, LoadFailure, Scope.Scope>;
}

export interface RunOptions {
  /** Of the generation. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly receivedAt: number;
  /** Whether events go out as they come. */
  readonly streams: boolean;
}

export interface BegunRun {
  /** False where nothing of it runs any more. */
  readonly cancel: Effect.Effect<boolean>;
  /** To its end; what was found where a broken answer was generated anew. */
  readonly run: (record: GenerationRecord) => Effect.Effect<Retried | undefined, EngineFailure>;
}
