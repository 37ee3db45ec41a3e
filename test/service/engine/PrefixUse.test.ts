import { assert, describe, it } from "vitest";

import { PrefixUse } from "../../../src/service/engine/PrefixUse.ts";

const none = { lookups: 0, lookupTokens: 0, hits: 0, hitTokens: 0, evictions: 0, entries: 0, bytes: 0 };
const oneLookup = (partition: string) => ({
  entries: 1,
  bytes: 10,
  partitions: [{ ...none, partition, lookups: 1, lookupTokens: 20, entries: 1, bytes: 10 }],
});

describe("the use of prefix caches", () => {
  it("goes on counting when a process has ended, and knows that it keeps nothing", () => {
    const use = new PrefixUse();
    assert.isUndefined(use.of("demo"));
    use.report("demo", oneLookup("a"));
    use.processEnded("demo");
    assert.deepInclude(use.of("demo"), { lookups: 1, entries: 0, bytes: 0 });
    assert.deepInclude(use.of("demo")?.partitions[0], { partition: "a", entries: 0, bytes: 0 });
    use.report("demo", oneLookup("a"));
    assert.deepInclude(use.of("demo"), { lookups: 2, lookupTokens: 40, entries: 1, bytes: 10 });
    assert.deepStrictEqual(use.total, { ...none, lookups: 2, lookupTokens: 40, entries: 1, bytes: 10 });
  });

  it("knows the partitions that were used last, of however many there were", () => {
    const use = new PrefixUse();
    for (let index = 0; index < 1_500; index++) use.report("demo", oneLookup(`p${index}`));
    const { partitions = [], lookups } = use.of("demo") ?? {};
    assert.strictEqual(lookups, 1_500);
    assert.lengthOf(partitions, 1_000);
    assert.deepEqual([partitions[0]?.partition, partitions.at(-1)?.partition], ["p1499", "p500"]);
  });

  it("keeps the counts of models that it does not tell apart any more", () => {
    const use = new PrefixUse();
    for (let index = 0; index < 1_500; index++) use.report(`m${index}`, oneLookup(""));
    assert.isUndefined(use.of("m0"));
    assert.strictEqual(use.total.lookups, 1_500);
  });
});
