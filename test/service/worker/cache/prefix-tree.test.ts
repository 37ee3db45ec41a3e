import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { commonPrefix } from "../../../../src/service/worker/cache/prefix-cache.ts";
import { PrefixTree } from "../../../../src/service/worker/cache/prefix-tree.ts";

/** Of few tokens, so that many begin alike. */
const sequence = fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 9 });

describe("PrefixTree", () => {
  it("finds what a search through all would, whatever is put in and taken out", () => {
    const step = fc.record({ act: fc.constantFrom("set", "set", "delete"), ids: sequence, ask: sequence });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tree = new PrefixTree<readonly number[]>();
        const kept = new Map<string, readonly number[]>();
        for (const { act, ids, ask } of steps) {
          if (act === "set") {
            tree.set(ids, ids);
            kept.set(ids.join(), ids);
          } else {
            tree.delete(ids);
            kept.delete(ids.join());
          }
          const most = Math.max(0, ...[...kept.values()].map((other) => commonPrefix(other, ask)));
          const found = tree.longest(ask);
          assert.strictEqual(found?.tokens ?? 0, most);
          if (found !== undefined) {
            assert.isTrue(kept.has(found.value.join()), "it was taken out");
            assert.strictEqual(commonPrefix(found.value, ask), most);
          }
          const beginnings = [...kept.values()].filter((other) => commonPrefix(other, ask) === other.length);
          assert.sameDeepMembers([...tree.beginningsOf(ask)], beginnings);
          assert.strictEqual(tree.isEmpty, kept.size === 0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("reads each token of what is asked for once, however many begin alike", () => {
    const tree = new PrefixTree<number>();
    const start = Array.from({ length: 100 }, (_, i) => i);
    for (let tail = 0; tail < 2000; tail++) tree.set([...start, 1000 + tail, tail], tail);
    let reads = 0;
    const asked = new Proxy([...start, 2500, 1500], {
      get: (target, key, receiver) => {
        if (typeof key === "string" && /^\d+$/.test(key)) reads += 1;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
    assert.deepStrictEqual(tree.longest(asked), { value: 1500, tokens: 102 });
    assert.isAtMost(reads, 3 * asked.length);
  });

  it("tells apart what stands in a token's place by ids of its own", () => {
    const tree = new PrefixTree<string>();
    const before = [1, 2, 3];
    tree.set([...before, "image 1", "image 1", 4], "first");
    tree.set([...before, "image 2", "image 2", 4], "second");
    assert.deepStrictEqual(tree.longest([...before, "image 2", "image 2", 5]), { value: "second", tokens: 5 });
    assert.strictEqual(tree.longest([...before, "image 3"])?.tokens, 3);
    // A number is not the text of it.
    assert.isUndefined(tree.longest(["1"]));
  });
});
