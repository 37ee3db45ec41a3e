import { assert, describe, it } from "@effect/vitest";

import { ModelConfig } from "../../../../src/service/worker/files/model-config.ts";
import { llama3, longRope, yarn } from "../../../../src/service/worker/layers/rope-scaling.ts";

const config = (values: Readonly<Record<string, unknown>>) => new ModelConfig(values);
/** Plain rotary embeddings: theta to the power of the dimension's share. */
const plain = (theta: number, dims: number) =>
  Array.from({ length: dims / 2 }, (_, pair) => Math.fround(theta ** ((2 * pair) / dims)));

describe("Llama 3's scaling", () => {
  const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
  const before = plain(500_000, 128);
  const { periods } = llama3(config(scaling), before);

  it("keeps short periods, stretches long ones by the factor, and is between the two in the middle", () => {
    assert.strictEqual(periods[0], before[0]);
    assert.strictEqual(periods.at(-1), Math.fround((before.at(-1) ?? 0) * 8));
    for (const [pair, period] of periods.entries()) {
      const was = before[pair] ?? 0;
      assert.isAtLeast(period, was);
      assert.isAtMost(period, Math.fround(was * 8));
      assert.isAbove(period, periods[pair - 1] ?? 0, "a later dimension rotates more slowly");
    }
  });

  it("refuses a factor that is not over 0 by its name", () => {
    assert.throws(() => llama3(config({ ...scaling, factor: 0 }), before), /factor.*over 0/);
  });
});

describe("YaRN", () => {
  const scaling = { factor: 4, original_max_position_embeddings: 4096 };
  const before = plain(10_000, 128);

  it("keeps dimensions that rotate often, and stretches those that hardly rotate", () => {
    const { periods, scale } = yarn(config(scaling), before, 10_000);
    assert.closeTo(periods[0] ?? 0, 1, 1e-6);
    assert.closeTo((periods.at(-1) ?? 0) / (before.at(-1) ?? 1), 4, 1e-5);
    assert.closeTo(scale ?? 0, 0.1 * Math.log(4) + 1, 1e-12);
  });

  it("changes nothing by a factor of 1", () => {
    const { periods, scale } = yarn(config({ ...scaling, factor: 1 }), before, 10_000);
    for (const [pair, period] of periods.entries())
      assert.closeTo(period, before[pair] ?? 0, (before[pair] ?? 0) * 1e-6);
    assert.strictEqual(scale, 1);
  });
});

describe("LongRoPE", () => {
  const whole = config({ max_position_embeddings: 131_072 });

  it("multiplies each period by the long factor of its dimension, at any length", () => {
    const { periods, scale } = longRope(whole, config({ long_factor: [1, 2] }), [10, 100], 4096);
    assert.deepEqual(periods, [10, 200]);
    assert.closeTo(scale ?? 0, Math.sqrt(1 + Math.log(32) / Math.log(4096)), 1e-12);
  });

  it("does not scale a model within its original length", () => {
    assert.strictEqual(longRope(whole, config({ long_factor: [1] }), [10], 131_072).scale, 1);
  });

  it("refuses another number of factors than dimensions", () => {
    assert.throws(() => longRope(whole, config({ long_factor: [1, 2, 3] }), [10, 100], 4096), /long_factor.*2 numbers/);
  });
});
