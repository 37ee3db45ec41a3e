import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Scope } from "effect";

import type { ModelFacts } from "../../../src/service/domain/model.ts";
import type { Engine } from "../../../src/service/engine/Engine.ts";
import { makeSlot } from "../../../src/service/models/ModelSlot.ts";

const engine: Engine = {
  generate: () => Effect.never,
  cancel: () => Effect.succeed(false),
  healthy: Effect.succeed(true),
  status: Effect.succeed({ residentBytes: 0, kvCacheBytes: 0, prefixCacheBytes: 0, restarts: 0 }),
};

/** Only the id is read. */
const facts = { id: "demo" } as ModelFacts;

describe("a model slot", () => {
  it.effect("counts its leases from before the engine is there until their scopes close", () =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope;
      const started = Effect.sync(() => {
        assert.equal(slot.leases(), 1);
        return engine;
      });
      const slot = makeSlot({ facts, problem: "", start: started, scope, onChange: Effect.void });
      const [one, two] = [yield* Scope.make(), yield* Scope.make()];
      yield* Scope.provide(slot.lease, one);
      yield* Scope.provide(slot.lease, two);
      assert.equal(slot.leases(), 2);
      yield* Scope.close(one, Exit.void);
      assert.equal(slot.leases(), 1);
      yield* Scope.close(two, Exit.void);
      assert.equal(slot.leases(), 0);
      assert.equal(slot.state(), "active");
    }),
  );

  it.effect("counts no lease that was refused", () =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope;
      const slot = makeSlot({
        facts,
        problem: "config.json is missing",
        start: Effect.never,
        scope,
        onChange: Effect.void,
      });
      const error = yield* Effect.flip(Effect.scoped(slot.lease));
      assert.equal(error.message, 'model "demo" cannot be loaded: config.json is missing');
      assert.equal(slot.leases(), 0);
    }),
  );
});
