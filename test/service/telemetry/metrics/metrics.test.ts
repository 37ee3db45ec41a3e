import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import type { GenerationEvent } from "../../../../src/service/domain/generation-result.ts";
import { Metrics } from "../../../../src/service/telemetry/metrics/Metrics.ts";

/** The value of a line, by its name and labels as they are written. */
const valueOf = (text: string, line: string): number =>
  Number(
    text
      .split("\n")
      .find((each) => each.startsWith(`${line} `))
      ?.slice(line.length + 1) ?? Number.NaN,
  );

const nothing = { text: "", reasoning: "", toolCalls: [], logprobs: [] };

const chunk = (tokenIds: ReadonlyArray<number>, outputTokens: number, candidateIndex = 0): GenerationEvent => ({
  ...nothing,
  type: "chunk",
  candidateIndex,
  tokenIds,
  outputTokens,
});

const started = (model: string): GenerationEvent =>
  ({
    type: "started",
    generationId: "gen_1",
    model,
    modelRevision: "",
    promptTokens: 7,
    cachedPromptTokens: 0,
    prompt: [],
  }) as never;

const finished = (outputTokens: number): GenerationEvent =>
  ({
    type: "finished",
    candidateIndex: 0,
    finishReason: "length",
    usage: { promptTokens: 7, cachedPromptTokens: 0, outputTokens },
    timings: { queueMs: 40, timeToFirstTokenMs: 20, decodeMs: 300, totalMs: 400 },
    warnings: [],
  }) as never;

describe("metrics", () => {
  it.effect("tell how long a generation waited, and how fast it came", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics;
      const on = metrics.generation(1_000);
      on(started("m"), 1_040);
      on(chunk([1], 1), 1_100);
      on(chunk([], 1), 1_150);
      on(chunk([2, 3], 3), 1_300);
      on(finished(3), 1_400);
      const text = yield* metrics.render;
      assert.strictEqual(valueOf(text, 'gen_ai_server_time_to_first_token_seconds_sum{model="m"}'), 0.1);
      assert.strictEqual(valueOf(text, 'mlxd_inter_token_gap_seconds_count{model="m"}'), 1);
      assert.strictEqual(valueOf(text, 'mlxd_inter_token_gap_seconds_sum{model="m"}'), 0.2);
      assert.strictEqual(valueOf(text, 'mlxd_queue_time_seconds_sum{model="m"}'), 0.04);
      assert.strictEqual(valueOf(text, 'gen_ai_server_time_per_output_token_seconds_sum{model="m"}'), 0.15);
      assert.strictEqual(valueOf(text, 'gen_ai_server_request_duration_seconds_sum{model="m"}'), 0.4);
      assert.strictEqual(valueOf(text, 'mlxd_prompt_tokens_sum{model="m"}'), 7);
      assert.strictEqual(valueOf(text, 'mlxd_output_tokens_sum{model="m"}'), 3);
    }).pipe(Effect.provide(Metrics.layer)),
  );

  it.effect("count in buckets that include what is below, up to all", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics;
      for (const queueMs of [1, 5, 6, 999_999]) {
        const on = metrics.generation(0);
        on(started("m"), 0);
        on(
          { ...(finished(1) as object), timings: { queueMs, timeToFirstTokenMs: 0, decodeMs: 0, totalMs: 0 } } as never,
          0,
        );
      }
      const text = yield* metrics.render;
      const bucket = (le: string) => valueOf(text, `mlxd_queue_time_seconds_bucket{model="m",le="${le}"}`);
      assert.deepStrictEqual([bucket("0.005"), bucket("0.01"), bucket("300"), bucket("+Inf")], [2, 3, 3, 4]);
      assert.strictEqual(valueOf(text, 'mlxd_queue_time_seconds_count{model="m"}'), 4);
    }).pipe(Effect.provide(Metrics.layer)),
  );

  it.effect("read values when they are rendered, and forget series that are gone", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics;
      let models = ["a", "b"];
      metrics.read(
        [{ name: "mlxd_test", help: "A test.", type: "gauge", labels: ["model"] }],
        Effect.sync(() => new Map([["mlxd_test", models.map((model) => ({ labels: { model }, value: 2 }))]])),
      );
      assert.strictEqual(valueOf(yield* metrics.render, 'mlxd_test{model="b"}'), 2);
      models = ["a"];
      const text = yield* metrics.render;
      assert.strictEqual(valueOf(text, 'mlxd_test{model="a"}'), 2);
      assert.notInclude(text, 'model="b"');
    }).pipe(Effect.provide(Metrics.layer)),
  );

  it.effect("tell of the process and its event loop", () =>
    Effect.gen(function* () {
      const text = yield* Effect.flatMap(Metrics, ({ render }) => render);
      for (const name of ["process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds"])
        assert.include(text, name);
    }).pipe(Effect.provide(Metrics.layer)),
  );
});
