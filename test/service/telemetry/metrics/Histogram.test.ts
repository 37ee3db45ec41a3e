import { assert, describe, it } from "@effect/vitest";
import { Histogram as ReferenceHistogram, Registry } from "prom-client";

import { Histogram } from "../../../../src/service/telemetry/metrics/Histogram.ts";

const options = { name: "token_seconds", help: "Time of a token.", label: "model", buckets: [0.01, 0.1, 1] };

/** As a scraper reads it, to whom the order of labels means nothing. */
const textOf = async (metric: Parameters<Registry["registerMetric"]>[0]): Promise<string> => {
  const registry = new Registry();
  registry.registerMetric(metric);
  const text = (await registry.metrics()).trim();
  return text.replaceAll(/\{(.*)\}/g, (_, labels: string) => `{${labels.split(",").toSorted().join(",")}}`);
};

describe("the histogram for events of every token", () => {
  it("is rendered as prom-client's own, value by value", async () => {
    const ours = new Histogram(options);
    const reference = new ReferenceHistogram({ ...options, labelNames: ["model"], registers: [] });
    // On a bound, between bounds, over all of them; for two models.
    for (const [model, value] of [
      ["demo", 0],
      ["demo", 0.01],
      ["demo", 0.05],
      ["demo", 1],
      ["demo", 7],
      ["other", 0.5],
    ] as const) {
      ours.of(model).observe(value);
      reference.labels(model).observe(value);
    }
    assert.equal(await textOf(ours.metric), await textOf(reference));
  });

  it("keeps counting for a label that was asked for before", async () => {
    const histogram = new Histogram(options);
    const kept = histogram.of("demo");
    kept.observe(1);
    histogram.of("demo").observe(1);
    assert.include(await textOf(histogram.metric), 'token_seconds_count{model="demo"} 2');
  });
});
