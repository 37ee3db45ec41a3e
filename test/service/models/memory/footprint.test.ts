import { assert, describe, it } from "@effect/vitest";

import { footprintOf } from "../../../../src/service/models/memory/footprint.ts";

const mebibyte = 1024 ** 2;
const limits = { kvCacheBytes: 64 * mebibyte, prefixCacheBytes: 32 * mebibyte, maxAdapters: 2, maxRunning: 4 };
const facts = {
  estimatedBytes: 100 * mebibyte,
  adapters: [],
  contextLength: 512,
  vocabularySize: 1000,
  widths: { hidden: 64, intermediate: 128, attentionHeads: 8 },
} as const;

describe("footprintOf", () => {
  it("adds up what a loaded model takes", () => {
    const { neededBytes, ...parts } = footprintOf(facts, undefined, limits);
    assert.equal(
      neededBytes,
      Object.values(parts).reduce((sum, bytes) => sum + bytes, 0),
    );
    assert.equal(parts.weightBytes, 100 * mebibyte);
    assert.equal(parts.kvCacheBytes, 64 * mebibyte);
    assert.equal(parts.prefixCacheBytes, 32 * mebibyte);
    // Twice the scores and activations of a slice of 1,024 tokens, four times the logits, 64 masks.
    const scores = 4 * 8 * 1024 * 512;
    const activations = 4 * 1024 * (4 * 64 + 2 * 128);
    assert.equal(parts.stepBytes, 2 * scores + 2 * activations + 4 * 4 * 4 * 1000 + 64 * 1000);
  });

  it("counts the weights of a draft model, whose cache is a part of the model's", () => {
    const alone = footprintOf(facts, undefined, limits);
    const drafting = footprintOf(facts, { estimatedBytes: 7 * mebibyte }, limits);
    assert.equal(drafting.neededBytes - alone.neededBytes, 7 * mebibyte);
    assert.equal(drafting.kvCacheBytes, alone.kvCacheBytes);
  });

  it("bounds the attention scores of a long context, as the scheduler does", () => {
    const stepOf = (contextLength: number) => footprintOf({ ...facts, contextLength }, undefined, limits).stepBytes;
    assert.isAbove(stepOf(8192), stepOf(512));
    assert.equal(stepOf(1_000_000), stepOf(100_000));
    assert.isBelow(stepOf(1_000_000), 2 * 256 * mebibyte + 16 * mebibyte);
  });

  it("counts no steps of a model whose widths are not known", () => {
    const { widths: _, ...others } = facts;
    assert.equal(footprintOf(others, undefined, limits).stepBytes, 0);
  });
});
