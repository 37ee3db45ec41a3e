import { assert, describe, it } from "@effect/vitest";

import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { KVCache } from "../../../../src/service/worker/cache/kv-cache.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";
import { modelTypes } from "../checkpoint-layout.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";

const vocabularySize = 64;
const shape = { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize };

/** What the rows' tokens are: those that are fed in vain differ from all that follow. */
const tokensOf = (row: number, length: number): number[] =>
  Array.from({ length }, (_, i) => (i * (7 + 2 * row) + 3 * row + 1) % 60);
const vain = 63;

describe.each(modelTypes)("a cache of %s with holes", async (modelType) => {
  const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType }));

  const logitsAt = (tokens: number[][], cache: KVCache, at: ReadonlyArray<number>): number[][] => {
    const hidden = model.forward(mx.array(tokens, mx.int32), cache);
    const [rows = 0, width = 0, size = 0] = hidden.shape;
    const picked = at.map((column, row) => row * width + column);
    const states = mx.take(hidden.reshape(rows * width, size), mx.array(picked, mx.int32), 0);
    return model.logits(states).tolist() as number[][];
  };

  /** The logits after a row's tokens, computed at once. */
  const alone = (tokens: number[]): number[] => {
    const cache = new KVCache(model.cacheShape, [tokens.length], 0);
    return logitsAt([tokens], cache, [tokens.length - 1])[0] ?? [];
  };

  const assertAlike = (got: number[] | undefined, expected: number[]): void => {
    for (const [index, value] of expected.entries()) assert.approximately(got?.[index] ?? 0, value, 1e-4);
  };

  /**
   * Rows that hold `lengths` tokens after many passes, each of which kept another number of tokens in each row.
   * Wide enough for two windows.
   */
  const grown = (passes = 24): { readonly cache: KVCache; readonly lengths: number[] } => {
    const lengths = [5, 9, 2];
    const longest = Math.max(...lengths);
    const cache = new KVCache(model.cacheShape, lengths, 0);
    const padded = lengths.map((length, row) => [
      ...Array.from({ length: longest - length }, () => 0),
      ...tokensOf(row, length),
    ]);
    logitsAt(padded, cache, [0, 0, 0]);
    for (let pass = 0; pass < passes; pass++) {
      const width = 1 + (pass % 4);
      const kept = lengths.map((_, row) => 1 + (((pass >> 2) + row * 2) % width));
      const fed = kept.map((count, row) => [
        ...tokensOf(row, (lengths[row] ?? 0) + count).slice(-count),
        ...Array.from({ length: width - count }, () => vain),
      ]);
      logitsAt(fed, cache, [0, 0, 0]);
      cache.retract(width, kept);
      for (const [row, count] of kept.entries()) lengths[row] = (lengths[row] ?? 0) + count;
    }
    return { cache, lengths };
  };

  /** Feeds one more token of each row, which is to see its own tokens only. */
  const assertHolds = (
    cache: KVCache,
    rows: ReadonlyArray<{ readonly row: number; readonly length: number }>,
  ): void => {
    for (const [index, { length }] of rows.entries()) assert.strictEqual(cache.length(index), length);
    const sequences = rows.map(({ row, length }) => tokensOf(row, length + 1));
    const got = logitsAt(
      sequences.map((tokens) => tokens.slice(-1)),
      cache,
      rows.map(() => 0),
    );
    for (const [index, tokens] of sequences.entries()) assertAlike(got[index], alone(tokens));
  };

  const all = (lengths: number[]) => lengths.map((length, row) => ({ row, length }));

  it("sees its own tokens, at their places", () => {
    const { cache, lengths } = grown();
    assert.isAbove(cache.vainColumns, 0);
    assertHolds(cache, all(lengths));
  });

  it("closes them when rows are selected, in any order", () => {
    const { cache, lengths } = grown();
    const [first = 0, , third = 0] = lengths;
    cache.select([2, 0]);
    assert.strictEqual(cache.vainColumns, 0);
    assert.strictEqual(cache.end, Math.max(first, third));
    assertHolds(cache, [
      { row: 2, length: third },
      { row: 0, length: first },
    ]);
  });

  it("closes them before it grows", () => {
    const { cache, lengths } = grown(120);
    assert.isBelow(cache.end, Math.max(...lengths) + 64 + 4);
    assertHolds(cache, all(lengths));
  });

  it("gives a row's tokens to a snapshot without them", () => {
    const { cache, lengths } = grown();
    for (const [row, length] of lengths.entries()) {
      const own = new KVCache(model.cacheShape, [length + 1], 0, 1);
      own.load(0, [{ snapshot: cache.snapshot(row, 0, length), tokens: length }]);
      assertHolds(own, [{ row, length }]);
    }
  });

  it("takes others in, longer and shorter ones", () => {
    for (const length of [3, 90]) {
      const { cache, lengths } = grown();
      const other = new KVCache(model.cacheShape, [length], 0);
      logitsAt([tokensOf(7, length)], other, [0]);
      cache.release(1);
      cache.insert(1, other, 0);
      cache.addRows(1);
      cache.insert(3, other, 0);
      const [first = 0, , third = 0] = lengths;
      assertHolds(cache, [
        { row: 0, length: first },
        { row: 7, length },
        { row: 2, length: third },
        { row: 7, length },
      ]);
    }
  });

  it("gives back what no row has kept", () => {
    const cache = new KVCache(model.cacheShape, [4, 4], 0);
    logitsAt([tokensOf(0, 4), tokensOf(1, 4)], cache, [0, 0]);
    logitsAt(
      [0, 1].map((row) => [...tokensOf(row, 6).slice(-2), vain, vain]),
      cache,
      [0, 0],
    );
    cache.retract(4, [2, 2]);
    assert.strictEqual(cache.end, 6);
    assert.strictEqual(cache.vainColumns, 0);
    assertHolds(cache, all([6, 6]));
  });

  it("does without those of a row that has gone", () => {
    const { cache, lengths } = grown();
    const [first = 0] = lengths;
    cache.release(1);
    cache.release(2);
    logitsAt([tokensOf(0, first + 2).slice(-2), [vain, vain], [vain, vain]], cache, [0, 0, 0]);
    cache.retract(2, [2, undefined, undefined]);
    cache.select([0]);
    assertHolds(cache, [{ row: 0, length: first + 2 }]);
  });
});
