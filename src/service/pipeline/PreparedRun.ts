/** A task that is ready to run, on an engine of either kind. */
import type { Effect, Scope } from "effect";

import type { LoadFailure, OutputInvalid } from "../domain/errors.ts";
import type { EffectiveParameters } from "../domain/generation-task.ts";
import type { EngineFailure } from "../engine/engine-failures.ts";
import type { GenerationRecord } from "./GenerationRecord.ts";
import type { Retried } from "./recovery.ts";

export interface PreparedRun {
  readonly parameters: EffectiveParameters;
  /** Undefined if the engine reports it. */
  readonly promptTokens: number | undefined;
  /** The number of prompt tokens that counts against the tenant's limits until then: exact or estimated. */
  readonly countedPromptTokens: number;
  /** Prefix of every answer's text: the echoed prompt, or empty. */
  readonly echo: string;
  /** Whether reasoning is separated from the answer. */
  readonly reasons: boolean;
  /** Leases the model's engine until the scope closes. */
  readonly begin: (options: RunOptions) => Effect.Effect<BegunRun, LoadFailure, Scope.Scope>;
}

export interface RunOptions {
  /** The generation's id. */
  readonly id: string;
  /** Milliseconds of the monotonic clock (domain/elapsed.ts). */
  readonly receivedAt: number;
  /** Whether events are sent as they come, and not collected into one result. */
  readonly streams: boolean;
}

export interface BegunRun {
  /** False if none of its requests runs any more. */
  readonly cancel: Effect.Effect<boolean>;
  /** Runs it to its end. Returns what was found if a broken answer was generated again. */
  readonly run: (record: GenerationRecord) => Effect.Effect<Retried | undefined, EngineFailure | OutputInvalid>;
}
