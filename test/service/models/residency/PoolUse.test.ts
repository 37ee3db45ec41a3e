import { assert, describe, it } from "@effect/vitest";
import { Clock, Effect } from "effect";

import { PoolUse } from "../../../../src/service/models/residency/PoolUse.ts";

describe("the use of the pool", () => {
  it.effect("knows the models that were used last, and counts all in the total", () =>
    Effect.gen(function* () {
      const use = new PoolUse(yield* Clock.Clock);
      for (let index = 0; index < 1_500; index++) use.lookedUp(`m${index}`, index % 2 === 0);
      use.loaded("m1499", "failed");
      use.left("m1499", "limits");
      assert.strictEqual(use.byModel.size, 1_000);
      assert.isFalse(use.byModel.has("m499"));
      assert.deepInclude(use.byModel.get("m500"), { lookups: 1, hits: 1, loadFailures: 0 });
      assert.deepInclude(use.total, { lookups: 1_500, hits: 750, loads: 0, loadFailures: 1 });
      assert.strictEqual(use.total.left.limits, 1);
    }),
  );
});
