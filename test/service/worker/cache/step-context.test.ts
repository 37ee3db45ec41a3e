import { assert, describe, it } from "@effect/vitest";

import { Holes } from "../../../../src/service/worker/cache/holes.ts";
import { makeStepContext, type Visible } from "../../../../src/service/worker/cache/step-context.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";

const isOwn = mx.binding === "own";

const contextOf = (starts: ReadonlyArray<number>, filled: number, tokens: number, holes?: Holes) =>
  makeStepContext({ starts, filled, capacity: 64, holes, type: mx.float32 }, tokens);

/** The columns that each query of a row sees. */
const seenBy = ({ from, to, mask }: Visible, row: number, tokens: number): number[][] =>
  Array.from({ length: tokens }, (_, token) => {
    const columns = Array.from({ length: to - from }, (_unused, index) => from + index);
    if (mask === undefined) return columns;
    if (mask === "causal") return columns.filter((column) => column <= to - tokens + token);
    const own = (mask.tolist() as number[][][][])[row]?.[0]?.[token] ?? [];
    return columns.filter((_unused, index) => own[index] === 0);
  });

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe("what a pass looks at", () => {
  it("needs no mask where rows begin alike", (context) => {
    if (!isOwn) context.skip("with node-mlx there is always a mask");
    const { visible, visibleWithin } = contextOf([3, 3], 20, 1);
    assert.deepStrictEqual(visible, { from: 3, to: 21, mask: undefined });
    assert.deepStrictEqual(visibleWithin(4), { from: 17, to: 21, mask: undefined });
    assert.deepStrictEqual(visibleWithin(40), visible);
    assert.deepStrictEqual(contextOf([0], 20, 5).visible, { from: 0, to: 25, mask: "causal" });
    assert.notStrictEqual(contextOf([0, 1], 20, 1).visible.mask, undefined);
  });

  for (const tokens of [1, 3]) {
    for (const starts of [[0], [3, 3], [0, 5], [2, 22]]) {
      it(`is every token up to a query's own, and those of a window, for ${tokens} after ${starts.join()}`, () => {
        const filled = 20;
        const { visible, visibleWithin, places } = contextOf(starts, filled, tokens);
        const offsets = places.offsets.tolist() as number[];
        for (const [row, start] of starts.entries()) {
          assert.strictEqual(offsets[row], filled - start);
          // Padding sees itself.
          const queries = range(filled, filled + tokens);
          const firsts = queries.map((query) => Math.min(start, query));
          assert.deepStrictEqual(
            seenBy(visible, row, tokens),
            queries.map((query, index) => range(firsts[index] ?? 0, query + 1)),
          );
          for (const window of [1, 4, 50]) {
            assert.deepStrictEqual(
              seenBy(visibleWithin(window), row, tokens),
              queries.map((query, index) => range(Math.max(firsts[index] ?? 0, query + 1 - window), query + 1)),
            );
          }
        }
      });
    }
  }

  it("leaves holes out, and counts windows in tokens", () => {
    const holes = new Holes(1);
    holes.open(10, 14, [1]);
    const { visible, visibleWithin, places } = contextOf([0], 14, 2, holes);
    assert.deepStrictEqual(places.offsets.tolist(), [11]);
    assert.deepStrictEqual(seenBy(visible, 0, 2), [
      [...range(0, 11), 14],
      [...range(0, 11), 14, 15],
    ]);
    assert.deepStrictEqual(seenBy(visibleWithin(3), 0, 2), [
      [9, 10, 14],
      [10, 14, 15],
    ]);
  });
});
