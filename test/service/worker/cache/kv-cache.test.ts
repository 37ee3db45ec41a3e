import { assert, describe, it } from "vitest";

import { KVCache } from "../../../../src/service/worker/cache/kv-cache.ts";
import { mx, type Tensor } from "../../../../src/service/worker/mlx.ts";

const shape = { layers: 2, kvHeads: 1, headDim: 1 };

/** Feeds one number to each row, the same to every layer, values being its negatives. */
const feed = (cache: KVCache, ...columns: ReadonlyArray<ReadonlyArray<number>>): void => {
  for (const column of columns) {
    const { visible } = cache.begin(1);
    const keys = mx.array([...column], mx.float32).reshape(column.length, 1, 1, 1);
    for (let layer = 0; layer < shape.layers; layer++) cache.update(layer, keys, mx.multiply(keys, -1), visible);
    cache.commit();
  }
};

const numbers = (tensor: Tensor | undefined): number[] =>
  tensor === undefined ? [] : ((tensor.reshape(1, tensor.size).tolist() as number[][])[0] ?? []);

/** A row's tokens, from every layer, which must agree. */
const held = (cache: KVCache, row: number): number[] => {
  const { keys, values } = cache.snapshot(row, 0, cache.length(row));
  const first = numbers(keys[0]);
  for (const layer of keys) assert.deepEqual(numbers(layer), first);
  for (const layer of values)
    assert.deepEqual(
      numbers(layer),
      first.map((value) => -value),
    );
  return first;
};

describe("a KV cache", () => {
  it("holds what was fed to each row, and grows as it is fed", () => {
    const cache = new KVCache(shape, [3, 3], 0);
    const before = cache.capacity;
    const columns = Array.from({ length: 3 * before }, (_, column) => [column + 1, 1000 + column]);
    feed(cache, ...columns);
    assert.isAtLeast(cache.capacity, 3 * before);
    assert.deepEqual(
      held(cache, 0),
      columns.map(([first]) => first),
    );
    assert.deepEqual(
      held(cache, 1),
      columns.map(([, second]) => second),
    );
  });

  it("begins shorter rows later: what is fed before is their padding", () => {
    const cache = new KVCache(shape, [3, 1], 8);
    feed(cache, [1, 9], [2, 9], [3, 4], [5, 6]);
    assert.deepEqual(held(cache, 0), [1, 2, 3, 5]);
    assert.deepEqual(held(cache, 1), [4, 6]);
  });

  it("takes the beginning of a row from snapshots, and goes on from there", () => {
    const source = new KVCache(shape, [4], 0);
    feed(source, [1], [2], [3], [4]);
    const cache = new KVCache(shape, [5], 0, 2);
    const pieces = [
      { snapshot: source.snapshot(0, 0, 2), tokens: 2 },
      { snapshot: source.snapshot(0, 2, 4), tokens: 2 },
    ];
    cache.load(0, pieces);
    assert.equal(cache.length(0), 3);
    feed(cache, [7], [8]);
    assert.deepEqual(held(cache, 0), [1, 2, 3, 7, 8]);
  });

  it("takes rows of another cache over, also longer ones, and leaves the others as they are", () => {
    const batch = new KVCache(shape, [2], 0);
    feed(batch, [1], [2]);
    batch.addRows(2);
    const prefill = new KVCache(shape, [4, 1], 0);
    feed(prefill, [10, 0], [11, 0], [12, 0], [13, 20]);
    batch.insert(1, prefill, 0);
    batch.insert(2, prefill, 1);
    feed(batch, [3, 14, 21]);
    assert.deepEqual(
      [0, 1, 2].map((row) => held(batch, row)),
      [
        [1, 2, 3],
        [10, 11, 12, 13, 14],
        [20, 21],
      ],
    );
    assert.deepEqual(held(prefill, 0), [10, 11, 12, 13]);
  });

  it("keeps the rows that are selected, in that order, and drops columns that none of them uses", () => {
    const cache = new KVCache(shape, [6, 2, 4], 0);
    feed(cache, [1, 0, 0], [2, 0, 0], [3, 0, 30], [4, 0, 40], [5, 50, 51], [6, 60, 61]);
    cache.select([2, 1]);
    assert.equal(cache.end, 4);
    assert.deepEqual(
      [0, 1].map((row) => held(cache, row)),
      [
        [30, 40, 51, 61],
        [50, 60],
      ],
    );
  });

  it("closes holes when it copies, whatever each row kept", () => {
    const cache = new KVCache(shape, [1, 1], 0);
    feed(cache, [1, 10], [2, 20], [3, 30], [4, 40]);
    cache.retract(3, [3, 1]);
    feed(cache, [5, 50]);
    cache.select([0, 1]);
    assert.equal(cache.vainColumns, 0);
    assert.deepEqual(
      [0, 1].map((row) => held(cache, row)),
      [
        [1, 2, 3, 4, 5],
        [10, 20, 50],
      ],
    );
  });

  it("counts the bytes of the columns that it holds ready", () => {
    const cache = new KVCache(shape, [1], 0);
    assert.equal(cache.bytes, 2 * 4 * shape.layers * cache.capacity);
  });
});
