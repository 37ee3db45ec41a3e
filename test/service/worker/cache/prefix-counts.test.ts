import { assert, describe, it } from "vitest";

import { PrefixCounts } from "../../../../src/service/worker/cache/prefix-counts.ts";

const none = { lookups: 0, lookupTokens: 0, hits: 0, hitTokens: 0, evictions: 0, entries: 0, bytes: 0 };

describe("the counts of a prefix cache", () => {
  it("tell what has changed since they were last asked, and what is held now", () => {
    const counts = new PrefixCounts();
    assert.isUndefined(counts.take());
    counts.lookedUp(":a", 40, 0);
    counts.stored(":a");
    counts.grew(":a", 700);
    counts.lookedUp(":b", 9, 0);
    assert.deepStrictEqual(counts.take(), {
      entries: 1,
      bytes: 700,
      partitions: [
        { ...none, partition: "a", lookups: 1, lookupTokens: 40, entries: 1, bytes: 700 },
        { ...none, partition: "b", lookups: 1, lookupTokens: 9 },
      ],
    });
    assert.isUndefined(counts.take());
    counts.lookedUp(":a", 50, 32);
    assert.deepStrictEqual(counts.take()?.partitions, [
      { ...none, partition: "a", lookups: 1, lookupTokens: 50, hits: 1, hitTokens: 32, entries: 1, bytes: 700 },
    ]);
    counts.dropped(":a", true);
    counts.grew(":a", -700);
    const partitions = [{ ...none, partition: "a", evictions: 1 }];
    assert.deepStrictEqual(counts.take(), { entries: 0, bytes: 0, partitions });
  });

  it("add up what adapters have in a partition, whose name may have colons", () => {
    const counts = new PrefixCounts();
    for (const name of [":x:y", "adapter:x:y"]) counts.stored(name);
    assert.deepStrictEqual(counts.take()?.partitions, [{ ...none, partition: "x:y", entries: 2 }]);
  });
});
