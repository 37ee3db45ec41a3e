/** Counters since the start and the current activity, by model. */
import { Clock, Context, Effect, Layer } from "effect";

import { addUsage, type Usage } from "../domain/usage.ts";

export interface GenerationStats {
  running: number;
  queued: number;
  succeeded: number;
  /** The service, the engine or the model's files are at fault. */
  failed: number;
  /** Never begun: invalid, no room, or too long in the queue. */
  refused: number;
  /** The caller left or cancelled, or its deadline passed. */
  cancelled: number;
  promptTokens: number;
  cachedPromptTokens: number;
  outputTokens: number;
  /** Repeated because the first answer was broken. */
  retried: number;
  /** Retried generations that succeeded. */
  recovered: number;
  draftedTokens: number;
  acceptedDraftTokens: number;
}

/** How a generation ended. */
export type Outcome = "succeeded" | "failed" | "refused" | "cancelled";

export class Stats extends Context.Service<
  Stats,
  {
    /** Epoch milliseconds. */
    readonly since: number;
    /**
     * `+1` when a generation enters the state and `-1` when it leaves. Plain functions, called where the state itself
     * changes, so that no interruption can come in between.
     */
    readonly move: (model: string, state: "running" | "queued", by: 1 | -1) => void;
    /** The model is empty if it is unknown: a name that no model has must not create an entry. */
    readonly ended: (model: string, outcome: Outcome, usage: Usage | undefined) => void;
    /** A broken answer was generated again; `recovered`: successfully. */
    readonly retried: (model: string, recovered: boolean) => void;
    /** A copy, by model id, with unknown models under the empty id; models that were never used are missing. */
    readonly snapshot: Effect.Effect<ReadonlyMap<string, Readonly<GenerationStats>>>;
  }
>()("mlxd/telemetry/Stats") {
  static readonly layer = Layer.effect(
    Stats,
    Effect.map(Clock.currentTimeMillis, (since) => {
      const models = new Map<string, GenerationStats>();
      const of = (model: string): GenerationStats => {
        const known = models.get(model) ?? emptyStats();
        models.set(model, known);
        return known;
      };
      return Stats.of({
        since,
        move: (model, state, by) => {
          of(model)[state] += by;
        },
        ended: (model, outcome, usage) => {
          const stats = of(model);
          stats[outcome] += 1;
          if (usage === undefined) return;
          const { promptTokens, cachedPromptTokens, outputTokens, ...rest } = addUsage(stats, usage);
          const { draftedTokens = 0, acceptedDraftTokens = 0 } = rest;
          Object.assign(stats, { promptTokens, cachedPromptTokens, outputTokens, draftedTokens, acceptedDraftTokens });
        },
        retried: (model, recovered) => {
          of(model).retried += 1;
          if (recovered) of(model).recovered += 1;
        },
        snapshot: Effect.sync(() => new Map([...models].map(([model, stats]) => [model, { ...stats }]))),
      });
    }),
  );
}

export const emptyStats = (): GenerationStats => ({
  running: 0,
  queued: 0,
  succeeded: 0,
  failed: 0,
  refused: 0,
  cancelled: 0,
  promptTokens: 0,
  cachedPromptTokens: 0,
  outputTokens: 0,
  retried: 0,
  recovered: 0,
  draftedTokens: 0,
  acceptedDraftTokens: 0,
});
