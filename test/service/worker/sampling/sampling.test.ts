import { assert, describe, it } from "@effect/vitest";

import { mx, type Tensor } from "../../../../src/service/worker/mlx.ts";
import { uniform } from "../../../../src/service/worker/sampling/random.ts";
import {
  adjustLogits,
  drawTokens,
  type SamplingRow,
  topCandidates,
} from "../../../../src/service/worker/sampling/sampling.ts";
import { greedy } from "../scheduler-run.ts";

const logits = [2, 1, 0.5, 0, -1, -3];

const row = (sampling: Partial<typeof greedy>, overrides: Partial<SamplingRow> = {}): SamplingRow => ({
  sampling: { ...greedy, temperature: 1, ...sampling },
  chosenTokens: 0,
  promptTokenIds: [],
  outputTokenIds: [],
  forbidden: [],
  ...overrides,
});

const sample = (values: Tensor, rows: ReadonlyArray<SamplingRow>, previous: Tensor | undefined): Tensor =>
  drawTokens(adjustLogits(values, rows, previous), rows);

/** Draws once with each of many seeds, in batches, and counts the tokens. */
const draw = (sampling: Partial<typeof greedy>, overrides: Partial<SamplingRow> = {}, draws = 4000): number[] => {
  const counts = logits.map(() => 0);
  const rows = Array.from({ length: draws }, (_, seed) => row({ ...sampling, seed }, overrides));
  const batch = mx.broadcastTo(mx.array([logits], mx.float32), [draws, logits.length]);
  for (const id of sample(batch, rows, undefined).tolist() as number[]) counts[id] = (counts[id] ?? 0) + 1;
  return counts;
};

const softmax = (values: ReadonlyArray<number>): number[] => {
  const weights = values.map((value) => Math.exp(value));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
};

/** Pearson's statistic; the bound is the 0.999 quantile for five degrees of freedom. */
const chiSquareBound = 20.5;
const assertDistribution = (counts: ReadonlyArray<number>, expected: ReadonlyArray<number>): void => {
  const draws = counts.reduce((sum, count) => sum + count, 0);
  let statistic = 0;
  for (const [id, probability] of expected.entries()) {
    const count = counts[id] ?? 0;
    if (probability === 0) assert.strictEqual(count, 0, `token ${id} should never be chosenTokens`);
    else statistic += (count - draws * probability) ** 2 / (draws * probability);
  }
  assert.isBelow(statistic, chiSquareBound);
};

/** The distribution over the tokens that a filter keeps. */
const kept = (temperature: number, keep: (id: number) => boolean): number[] => {
  const weights = logits.map((logit, id) => (keep(id) ? Math.exp(logit / temperature) : 0));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
};

describe("sample", () => {
  it("takes the most likely token at temperature 0", () => {
    assert.deepStrictEqual(draw({ temperature: 0 }, {}, 3), [3, 0, 0, 0, 0, 0]);
  });

  it("draws from the softmax at temperature 1", () => assertDistribution(draw({}), softmax(logits)));

  it("applies the temperature", () =>
    assertDistribution(draw({ temperature: 2 }), softmax(logits.map((logit) => logit / 2))));

  it("keeps the top_k most likely", () =>
    assertDistribution(
      draw({ topK: 2 }),
      kept(1, (id) => id < 2),
    ));

  it("keeps the fewest tokens that reach top_p, before the temperature", () => {
    // Cumulative at temperature 1: 0.57, 0.78, 0.91, ...
    assertDistribution(
      draw({ topP: 0.7, temperature: 2 }),
      kept(2, (id) => id < 2),
    );
  });

  it("keeps tokens at least min_p as likely as the best", () => {
    // Relative to the best: 1, 0.37, 0.22, 0.14, ...
    assertDistribution(
      draw({ minP: 0.2 }),
      kept(1, (id) => id < 3),
    );
  });

  it("applies top_p, min_p and top_k to the distribution at temperature 1, each to all of it, and then the temperature", () => {
    // At temperature 1: 0.573, 0.211, 0.128, 0.078, 0.029, 0.004. At 2 the third would be 0.42 of the first, at 0.5 0.05.
    for (const temperature of [0.5, 2]) {
      assertDistribution(
        draw({ minP: 0.3, temperature }),
        kept(temperature, (id) => id < 2),
      );
      assertDistribution(
        draw({ topK: 3, temperature }),
        kept(temperature, (id) => id < 3),
      );
      assertDistribution(
        draw({ topP: 0.8, minP: 0.2, topK: 5, temperature }),
        kept(temperature, (id) => id < 3),
      );
      assertDistribution(
        draw({ topP: 0.95, minP: 0.01, topK: 3, temperature }),
        kept(temperature, (id) => id < 3),
      );
    }
  });

  it("keeps the most likely token, however small top_p is", () => {
    assert.deepStrictEqual(draw({ topP: 1e-9, temperature: 2 }, {}, 50), [50, 0, 0, 0, 0, 0]);
    assert.deepStrictEqual(draw({ minP: 1, temperature: 2 }, {}, 50), [50, 0, 0, 0, 0, 0]);
  });

  it("adds bias first: penalties and filters look at what it made", () => {
    const bias = (...logitBias: ReadonlyArray<{ tokenId: number; bias: number }>) => ({ logitBias });
    const biased = logits.map((logit, id) => logit + (id === 3 ? 2.5 : id === 0 ? -1 : 0));
    const both = bias({ tokenId: 3, bias: 1.5 }, { tokenId: 0, bias: -1 }, { tokenId: 3, bias: 1 });
    assertDistribution(draw(both), softmax(biased));
    // Now 3 is the most likely one, before 0 and 1.
    const two = biased.map((logit, id) => (id === 3 ? Math.exp(logit) : 0));
    assertDistribution(
      draw({ ...both, topK: 1 }),
      two.map((weight) => weight / two.reduce((sum, one) => sum + one, 0)),
    );
    // A logit that bias made positive is divided.
    const penalized = biased.map((logit, id) => (id === 3 ? logit / 1.5 : logit));
    assertDistribution(draw({ ...both, repetitionPenalty: 1.5 }, { promptTokenIds: [3] }), softmax(penalized));
  });

  it("can force and forbid by bias", () => {
    assert.deepStrictEqual(draw({ logitBias: [{ tokenId: 5, bias: 100 }] }, {}, 200), [0, 0, 0, 0, 0, 200]);
    assertDistribution(
      draw({ logitBias: [{ tokenId: 0, bias: -100 }] }),
      kept(1, (id) => id > 0),
    );
    assert.deepStrictEqual(
      draw({ temperature: 0, logitBias: [{ tokenId: 0, bias: -100 }] }, {}, 2),
      [0, 2, 0, 0, 0, 0],
    );
  });

  it("never draws a forbidden token, whatever its bias", () =>
    assertDistribution(
      draw({ logitBias: [{ tokenId: 0, bias: 100 }] }, { forbidden: [0] }),
      kept(1, (id) => id > 0),
    ));

  it("never draws a forbidden token", () =>
    assertDistribution(
      draw({}, { forbidden: [0] }),
      kept(1, (id) => id > 0),
    ));

  it("penalises what occurred", () => {
    const outputTokenIds = [0, 0, 2];
    const adjusted = logits.map((logit, id) => (id === 0 ? logit - 1 - 2 * 0.5 : id === 2 ? logit - 1 - 0.5 : logit));
    const overrides = { outputTokenIds, chosenTokens: 3 };
    assertDistribution(draw({ presencePenalty: 1, frequencyPenalty: 0.5 }, overrides), softmax(adjusted));
    const repeated = logits.map((logit, id) => (id === 0 ? logit / 1.5 : id === 4 ? logit * 1.5 : logit));
    assertDistribution(draw({ repetitionPenalty: 1.5 }, { promptTokenIds: [0, 4] }), softmax(repeated));
  });

  it("counts a token that is not read yet", () => {
    const rows = [row({ temperature: 0, presencePenalty: 2 }, { chosenTokens: 1 })];
    const next = sample(mx.array([logits], mx.float32), rows, mx.array([0], mx.int32));
    assert.deepStrictEqual(next.tolist(), [1]);
  });

  it("gives each row of a mixed batch what it gets alone", () => {
    const rows = [
      row({ temperature: 0 }),
      row({ seed: 3 }),
      row({ seed: 4, topP: 0.7 }),
      row({ seed: 5, topK: 3 }),
      row({ seed: 6, logitBias: [{ tokenId: 5, bias: 9 }] }),
    ];
    const batch = mx.broadcastTo(mx.array([logits], mx.float32), [rows.length, logits.length]);
    const together = sample(batch, rows, undefined).tolist();
    const apart = rows.map((one) => (sample(mx.array([logits], mx.float32), [one], undefined).tolist() as number[])[0]);
    assert.deepStrictEqual(together, apart);
  });
});

describe("uniform", () => {
  it("depends on seed and place alone and fills [0, 1) evenly", () => {
    assert.strictEqual(uniform(7, 3), uniform(7, 3));
    assert.notStrictEqual(uniform(7, 3), uniform(8, 3));
    assert.notStrictEqual(uniform(7, 3), uniform(7, 4));
    const bins = Array.from({ length: 10 }, () => 0);
    for (let seed = 0; seed < 100; seed++) {
      for (let place = 0; place < 100; place++) {
        const bin = Math.floor(uniform(seed, place) * 10);
        bins[bin] = (bins[bin] ?? 0) + 1;
      }
    }
    for (const count of bins) assert.closeTo(count, 1000, 120);
  });
});

describe("the most likely tokens", () => {
  for (const [vocabulary, size] of [
    [151_936, 1024],
    [151_936, 20],
    [32_064, 1024],
    [50_257, 20],
    [96, 20],
    [20, 20],
  ] as const) {
    it(`are the first ${size} of ${vocabulary} in order, forbidden ones among them`, () => {
      const random = mx.random.normal([3, vocabulary], mx.float32, 0, 2, mx.random.key(vocabulary));
      // Few tokens are left of the last row, all of them side by side.
      const columns = mx.arange(0, vocabulary, 1, mx.float32).reshape(1, vocabulary);
      const isLast = mx.equal(mx.arange(0, 3, 1, mx.float32).reshape(3, 1), 2);
      const allowed = mx.where(mx.logicalAnd(isLast, mx.greater(columns, 40)), -Infinity, random);
      const rows = allowed.tolist() as number[][];
      const found = topCandidates(allowed, size).tolist() as number[][];
      for (const [index, logits] of rows.entries()) {
        const expected = logits.toSorted((a, b) => b - a).slice(0, size);
        const ids = found[index] ?? [];
        assert.deepStrictEqual(
          ids.map((id) => logits[id]),
          expected,
        );
        assert.strictEqual(new Set(ids).size, size);
      }
    });
  }

  it("take no sort of the vocabulary", (context) => {
    if (mx.binding !== "own") context.skip("node-mlx does not tell what is still to be computed");
    const sizes: number[] = [];
    const before = { ...mx };
    Object.assign(mx, {
      argpartition: (...args: Parameters<typeof before.argpartition>) => {
        sizes.push(args[0].shape.at(-1) ?? 0);
        return before.argpartition(...args);
      },
      argsort: (...args: Parameters<typeof before.argsort>) => {
        sizes.push(args[0].shape.at(-1) ?? 0);
        return before.argsort(...args);
      },
    });
    try {
      topCandidates(mx.zeros([2, 151_936]), 1024);
    } finally {
      Object.assign(mx, before);
    }
    assert.isAtMost(Math.max(...sizes), 151_936 / 4);
  });
});
