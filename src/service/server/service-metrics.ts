/** Metrics of the service's state, read at a scrape: counters, models and memory, as in GetStats. */
import { Effect } from "effect";

import { Access } from "../access/Access.ts";
import type { QuotaRefusals } from "../access/Quotas.ts";
import { AdmissionConfig } from "../config/AdmissionConfig.ts";
import { EngineConfig } from "../config/EngineConfig.ts";
import type { ModelStatus } from "../domain/model.ts";
import { Models, type PoolStatus } from "../models/Models.ts";
import { Health } from "./Health.ts";
import { Metrics, type Reading, type ReadMetric } from "../telemetry/metrics/Metrics.ts";
import { type GenerationStats, Stats } from "../telemetry/Stats.ts";

/** Adds them to the rendered metrics. */
export const addServiceMetrics = Effect.gen(function* () {
  const metrics = yield* Metrics;
  const models = yield* Models;
  const stats = yield* Stats;
  const health = yield* Health;
  const { refusals } = yield* Access;
  const { maxRunning, maxQueued } = yield* AdmissionConfig;
  const { kvCacheBytes } = yield* EngineConfig;
  metrics.read(
    all.map(({ name, help, type = "gauge", labels = [] }) => ({ name, help, type, labels })),
    Effect.gen(function* () {
      const state: State = {
        models: yield* models.list,
        pool: yield* models.pool,
        generations: yield* stats.snapshot,
        limits: { maxRunning, maxQueued, kvCacheBytes },
        quotaRefusals: refusals(),
        ...(yield* servingNow(health)),
      };
      return new Map(all.map(({ name, read }) => [name, read(state)]));
    }),
  );
});

const servingNow = (health: Health["Service"]) =>
  Effect.map(health.all, (all) => ({
    isServing: all.get("")?.status === "serving",
    serving: new Set(
      [...all].flatMap(([name, { status }]) =>
        status === "serving" && name.startsWith("models/") ? [name.slice("models/".length)] : [],
      ),
    ),
  }));

interface State {
  readonly models: ReadonlyArray<ModelStatus>;
  readonly pool: PoolStatus;
  /** By model; unknown models are under the empty id. */
  readonly generations: ReadonlyMap<string, Readonly<GenerationStats>>;
  readonly isServing: boolean;
  /** Ids of models that serve. */
  readonly serving: ReadonlySet<string>;
  readonly quotaRefusals: ReadonlyArray<QuotaRefusals>;
  readonly limits: { readonly maxRunning: number; readonly maxQueued: number; readonly kvCacheBytes: number };
}

interface StateMetric {
  readonly name: string;
  readonly help: string;
  /** @default "gauge" */
  readonly type?: ReadMetric["type"];
  /** @default none */
  readonly labels?: ReadonlyArray<string>;
  readonly read: (state: State) => ReadonlyArray<Reading>;
}

const one = (value: number): ReadonlyArray<Reading> => [{ labels: {}, value }];

const byModel =
  (value: (stats: Readonly<GenerationStats>) => number, label = "model") =>
  ({ generations }: State): ReadonlyArray<Reading> =>
    [...generations].map(([model, stats]) => ({ labels: { [label]: model }, value: value(stats) }));

const ofModels =
  (value: (model: ModelStatus, state: State) => number, label = "model") =>
  (state: State): ReadonlyArray<Reading> =>
    state.models.map((model) => ({ labels: { [label]: model.facts.id }, value: value(model, state) }));

const model = ["model"];
const counter = "counter";
const outcomes = ["succeeded", "failed", "refused", "cancelled"] as const;

const all: ReadonlyArray<StateMetric> = [
  {
    name: "mlxd_generations_total",
    help: "Generations that have ended, by model and outcome.",
    type: counter,
    labels: ["model", "outcome"],
    read: ({ generations }) =>
      [...generations].flatMap(([id, stats]) =>
        outcomes.map((outcome) => ({ labels: { model: id, outcome }, value: stats[outcome] })),
      ),
  },
  {
    name: "mlxd_generations_running",
    help: "Generations in an engine.",
    labels: model,
    read: byModel(({ running }) => running),
  },
  {
    name: "mlxd_generations_waiting",
    help: "Generations that wait for an engine.",
    labels: model,
    read: byModel(({ queued }) => queued),
  },
  {
    name: "mlxd_prompt_tokens_total",
    help: "Tokens of prompts.",
    type: counter,
    labels: model,
    read: byModel(({ promptTokens }) => promptTokens),
  },
  {
    name: "mlxd_cached_prompt_tokens_total",
    help: "Tokens of prompts that the prefix cache saved.",
    type: counter,
    labels: model,
    read: byModel(({ cachedPromptTokens }) => cachedPromptTokens),
  },
  {
    name: "mlxd_output_tokens_total",
    help: "Tokens generated.",
    type: counter,
    labels: model,
    read: byModel(({ outputTokens }) => outputTokens),
  },
  {
    name: "mlxd_drafted_tokens_total",
    help: "Tokens that were drafted ahead of their turn.",
    type: counter,
    labels: model,
    read: byModel(({ draftedTokens }) => draftedTokens),
  },
  {
    name: "mlxd_accepted_draft_tokens_total",
    help: "Drafted tokens that were right.",
    type: counter,
    labels: model,
    read: byModel(({ acceptedDraftTokens }) => acceptedDraftTokens),
  },
  {
    name: "mlxd_broken_answers_total",
    help: "Generations that were given another attempt, as their first answer was broken.",
    type: counter,
    labels: model,
    read: byModel(({ retried }) => retried),
  },
  {
    name: "mlxd_model_state",
    help: "1 for the state that a model is in.",
    labels: ["model", "state"],
    read: ({ models }) => models.map(({ facts, state }) => ({ labels: { model: facts.id, state }, value: 1 })),
  },
  {
    name: "mlxd_engine_resident_bytes",
    help: "Memory of a model's engine process.",
    labels: model,
    read: ofModels(({ residentBytes }) => residentBytes),
  },
  {
    name: "mlxd_kv_cache_bytes",
    help: "KV cache in use.",
    labels: model,
    read: ofModels((status) => status.kvCacheBytes),
  },
  {
    name: "mlxd_prefix_cache_bytes",
    help: "What the prefix cache holds.",
    labels: model,
    read: ofModels(({ prefixCacheBytes }) => prefixCacheBytes),
  },
  {
    name: "mlxd_engine_active_bytes",
    help: "MLX's arrays in an engine: weights, caches and what a step computes with.",
    labels: model,
    read: ofModels(({ mlxActiveBytes }) => mlxActiveBytes),
  },
  {
    name: "mlxd_engine_buffer_cache_bytes",
    help: "Freed buffers that MLX keeps for its next arrays.",
    labels: model,
    read: ofModels(({ mlxCacheBytes }) => mlxCacheBytes),
  },
  {
    name: "mlxd_kv_cache_limit_bytes",
    help: "KV cache that each engine may use.",
    read: ({ limits }) => one(limits.kvCacheBytes),
  },
  {
    name: "mlxd_model_serving",
    help: "1 where a call of the model would be answered, as health tells it; 0 where not.",
    labels: model,
    read: ({ serving, models }) =>
      models.map(({ facts }) => ({ labels: { model: facts.id }, value: serving.has(facts.id) ? 1 : 0 })),
  },
  {
    name: "mlxd_serving",
    help: "1 while the service takes calls, as /readyz tells it; 0 while not.",
    read: ({ isServing }) => one(isServing ? 1 : 0),
  },
  {
    name: "mlxd_engine_restarts_total",
    help: "Times that a model's engine was started anew since it was loaded.",
    type: counter,
    labels: model,
    read: ofModels(({ engineRestarts }) => engineRestarts),
  },
  {
    name: "mlxd_memory_reserved_bytes",
    help: "Part of the memory budget that is taken.",
    read: ({ pool }) => one(pool.reservedBytes),
  },
  { name: "mlxd_memory_budget_bytes", help: "The memory budget.", read: ({ pool }) => one(pool.budgetBytes) },
  { name: "mlxd_models_loaded", help: "Models that are loaded or loading.", read: ({ pool }) => one(pool.loaded) },
  { name: "mlxd_model_loads_waiting", help: "Loads that wait for room.", read: ({ pool }) => one(pool.waiting) },
  {
    name: "mlxd_model_loads_total",
    help: "Loads that succeeded.",
    type: counter,
    read: ({ pool }) => one(pool.loads),
  },
  {
    name: "mlxd_model_load_failures_total",
    help: "Loads that failed.",
    type: counter,
    read: ({ pool }) => one(pool.loadFailures),
  },
  {
    name: "mlxd_model_unloads_total",
    help: "Models that left memory, by cause.",
    type: counter,
    labels: ["cause"],
    read: ({ pool }) => Object.entries(pool.left).map(([cause, value]) => ({ labels: { cause }, value })),
  },
  {
    name: "mlxd_quota_refusals_total",
    help: "Calls and tasks that a limit of their tenant has refused.",
    type: counter,
    labels: ["tenant", "limit"],
    read: ({ quotaRefusals }) =>
      quotaRefusals.map(({ tenant, limit, count }) => ({ labels: { tenant, limit }, value: count })),
  },
  {
    name: "mlxd_max_running",
    help: "Generations that each engine takes at once.",
    read: ({ limits }) => one(limits.maxRunning),
  },
  {
    name: "mlxd_max_waiting",
    help: "Generations that may wait for each engine.",
    read: ({ limits }) => one(limits.maxQueued),
  },
  // Inference gateways read these three under vLLM's names.
  {
    name: "vllm:num_requests_running",
    help: "Generations in an engine.",
    labels: ["model_name"],
    read: byModel(({ running }) => running, "model_name"),
  },
  {
    name: "vllm:num_requests_waiting",
    help: "Generations that wait for an engine.",
    labels: ["model_name"],
    read: byModel(({ queued }) => queued, "model_name"),
  },
  {
    name: "vllm:kv_cache_usage_perc",
    help: "Share of the KV cache that is in use; 1 is all of it.",
    labels: ["model_name"],
    read: ofModels((status, { limits }) => status.kvCacheBytes / limits.kvCacheBytes, "model_name"),
  },
];
