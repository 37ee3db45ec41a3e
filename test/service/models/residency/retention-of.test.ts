import { assert, describe, it } from "@effect/vitest";

import { defaultPolicy } from "../../../../src/service/models/catalog/declared-model.ts";
import { changedRetention, retentionOf } from "../../../../src/service/models/residency/retention-of.ts";

describe("how long a model stays in memory", () => {
  it("is as declared, and else as the service's idle time says", () => {
    const policy = { ...defaultPolicy, pinned: true, priority: 3 };
    assert.deepEqual(retentionOf({ ...policy, ttlMs: 5 }, 100), { pinned: true, idleTtlMs: 5, priority: 3 });
    assert.deepEqual(retentionOf({ ...policy, ttlMs: undefined }, 100), { pinned: true, idleTtlMs: 100, priority: 3 });
    assert.deepEqual(retentionOf({ ...policy, ttlMs: 0 }, 100), { pinned: true, idleTtlMs: 0, priority: 3 });
  });

  it("changes with the file only where the file has changed: what a call has set stays", () => {
    const before = { pinned: false, idleTtlMs: 100, priority: 0 };
    assert.deepEqual(changedRetention(before, before), { priority: 0 });
    assert.deepEqual(changedRetention(before, { ...before, pinned: true }), { pinned: true, priority: 0 });
    assert.deepEqual(changedRetention(before, { ...before, idleTtlMs: 0, priority: 2 }), { idleTtlMs: 0, priority: 2 });
  });
});
