/**
 * The metrics for Prometheus. Names follow OpenTelemetry's conventions for generative AI, and vLLM's where it has the
 * metric; the others begin with `mlxd_`. Labels have bounded values only: models of the catalog, methods, codes,
 * reasons.
 */
import { Context, Effect, Layer } from "effect";
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

import { type ConnectionLimit, connectionLimits } from "../../config/connection-settings.ts";
import type { GenerationEvent } from "../../domain/generation-result.ts";
import { Histogram } from "./Histogram.ts";

/** The values of a gauge or counter, read at the time of a scrape. */
export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ReadMetric {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly labels: ReadonlyArray<string>;
}

export class Metrics extends Context.Service<
  Metrics,
  {
    /** Observes a generation. The returned function has to be called with each of its events. */
    readonly generation: (receivedAt: number) => (event: GenerationEvent, now: number) => void;
    /** Counts a call that ended with an error of this reason, or a refused request. */
    readonly error: (reason: string, method: string) => void;
    /** Counts a connection that was refused for this setting. */
    readonly connectionRefused: (limit: ConnectionLimit) => void;
    /** Observes a step of an engine. */
    readonly engineStep: (model: string, rows: number, seconds: number) => void;
    /** Observes the start of an engine, including its first token. */
    readonly loaded: (model: string, seconds: number) => void;
    /** @param bytes of the whole model */
    readonly download: (outcome: "succeeded" | "failed" | "cancelled", bytes: number) => void;
    /** Adds metrics that are read together at the time of a scrape. */
    readonly read: (
      metrics: ReadonlyArray<ReadMetric>,
      values: Effect.Effect<ReadonlyMap<string, ReadonlyArray<Reading>>>,
    ) => void;
    /** Prometheus' text format, version 0.0.4. */
    readonly render: Effect.Effect<string>;
  }
>()("mlxd/telemetry/Metrics") {
  static readonly layer = Layer.sync(Metrics, () => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const histograms = createHistograms();
    for (const histogram of Object.values(histograms)) registry.registerMetric(histogram.metric);
    const errors = new Counter({
      name: "mlxd_errors_total",
      help: "Calls that ended with an error, by method and reason.",
      labelNames: ["method", "reason"],
      registers: [registry],
    });
    const connectionsRefused = new Counter({
      name: "mlxd_connections_refused_total",
      help: "Connections that were closed at once, as there were as many as may be, by the setting that says so.",
      labelNames: ["limit"],
      registers: [registry],
    });
    // From the start, so that the first refusal is an increase.
    for (const limit of connectionLimits) connectionsRefused.inc({ limit }, 0);
    const downloads = new Counter({
      name: "mlxd_downloads_total",
      help: "Downloads of models that have ended.",
      labelNames: ["outcome"],
      registers: [registry],
    });
    const downloadedBytes = new Counter({
      name: "mlxd_downloaded_bytes_total",
      help: "Bytes of the models that were downloaded.",
      registers: [registry],
    });
    const sources: Array<Effect.Effect<void>> = [];
    return Metrics.of({
      generation: (receivedAt) => {
        let meter: GenerationMeter | undefined;
        return (event, now) => {
          if (event.type === "started") meter ??= new GenerationMeter(histograms, event.model, receivedAt);
          else meter?.on(event, now);
        };
      },
      error: (reason, method) => errors.inc({ method, reason }),
      connectionRefused: (limit) => connectionsRefused.inc({ limit }),
      engineStep: (model, rows, ofSeconds) => {
        histograms.step.of(model).observe(ofSeconds);
        if (rows > 0) histograms.rows.of(model).observe(rows);
      },
      loaded: (model, ofSeconds) => histograms.load.of(model).observe(ofSeconds),
      download: (outcome, bytes) => {
        downloads.inc({ outcome });
        if (outcome === "succeeded") downloadedBytes.inc(bytes);
      },
      read: (metrics, values) => {
        const gauges = new Map(
          metrics.map(({ name, help, type, labels }) => {
            const options = { name, help, labelNames: [...labels], registers: [registry] };
            return [name, type === "gauge" ? new Gauge(options) : new Counter(options)] as const;
          }),
        );
        sources.push(
          Effect.map(values, (read) => {
            for (const [name, gauge] of gauges) {
              gauge.reset();
              for (const { labels, value } of read.get(name) ?? []) gauge.inc(labels, value);
            }
          }),
        );
      },
      render: Effect.andThen(
        Effect.suspend(() => Effect.all(sources, { discard: true })),
        Effect.promise(() => registry.metrics()),
      ),
    });
  });
}

type Histograms = ReturnType<typeof createHistograms>;

/** In seconds, from a token of a small model to a slow load. */
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const tokens = [1, 8, 32, 128, 512, 2_048, 8_192, 32_768, 131_072];

const rows = [1, 2, 4, 8, 16, 32, 64, 128, 256];

const createHistograms = () => {
  const label = "model";
  const histogram = (name: string, help: string, buckets: ReadonlyArray<number>) =>
    new Histogram({ name, help, label, buckets });
  return {
    queue: histogram("mlxd_queue_time_seconds", "From the call to the engine's beginning with it.", seconds),
    firstToken: histogram(
      "gen_ai_server_time_to_first_token_seconds",
      "From the call to the first piece of output, waiting included.",
      seconds,
    ),
    gap: histogram("mlxd_inter_token_gap_seconds", "Between two pieces of one output.", [0.001, ...seconds]),
    perToken: histogram(
      "gen_ai_server_time_per_output_token_seconds",
      "Of a whole output behind its first token, by token.",
      [0.001, 0.0025, ...seconds],
    ),
    duration: histogram("gen_ai_server_request_duration_seconds", "From the call to the end of its output.", seconds),
    step: histogram(
      "mlxd_engine_step_seconds",
      "Of a step of an engine: a decode of its batch, a slice of a prompt, or both.",
      [0.001, 0.0025, ...seconds],
    ),
    rows: histogram("mlxd_engine_batch_rows", "Sequences that a step decodes together.", rows),
    load: histogram("mlxd_model_load_seconds", "From the start of an engine to its first token.", seconds),
    promptTokens: histogram("mlxd_prompt_tokens", "Tokens of a prompt.", tokens),
    outputTokens: histogram("mlxd_output_tokens", "Tokens of an output.", tokens),
  };
};

class GenerationMeter {
  private readonly histograms: Histograms;
  private readonly model: string;
  private readonly receivedAt: number;
  private readonly gaps: { readonly observe: (value: number) => void };
  /** When the last piece arrived, by candidate. */
  private readonly lastAt = new Map<number, number>();

  constructor(histograms: Histograms, model: string, receivedAt: number) {
    this.histograms = histograms;
    this.model = model;
    this.receivedAt = receivedAt;
    this.gaps = histograms.gap.of(model);
  }

  on(event: GenerationEvent, now: number): void {
    const { histograms, model } = this;
    switch (event.type) {
      case "started":
        break;
      case "chunk": {
        if (event.tokenIds.length === 0) break;
        const lastAt = this.lastAt.get(event.candidateIndex);
        if (lastAt === undefined) histograms.firstToken.of(model).observe((now - this.receivedAt) / 1000);
        else this.gaps.observe((now - lastAt) / 1000);
        this.lastAt.set(event.candidateIndex, now);
        break;
      }
      case "finished": {
        const { usage, timings } = event;
        histograms.queue.of(model).observe(timings.queueMs / 1000);
        histograms.duration.of(model).observe(timings.totalMs / 1000);
        histograms.outputTokens.of(model).observe(usage.outputTokens);
        if (event.candidateIndex === 0) histograms.promptTokens.of(model).observe(usage.promptTokens);
        if (usage.outputTokens > 1) {
          histograms.perToken.of(model).observe(timings.decodeMs / 1000 / (usage.outputTokens - 1));
        }
        break;
      }
    }
  }
}
