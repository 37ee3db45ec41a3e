import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Fiber, Scope } from "effect";

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

  it.effect("ends its engine when it is retired, and not before the last lease is given back", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const scope = yield* Effect.scope;
      const start = Effect.acquireRelease(
        Effect.sync(() => (log.push("start"), engine)),
        () => Effect.sync(() => log.push("stop")),
      );
      const slot = makeSlot({ facts, problem: "", start, scope, onChange: Effect.void });
      const [one, two] = [yield* Scope.make(), yield* Scope.make()];
      yield* Scope.provide(slot.lease, one);
      yield* Scope.provide(slot.lease, two);
      yield* slot.retire;
      yield* Scope.close(one, Exit.void);
      assert.deepEqual(log, ["start"]);
      yield* Scope.close(two, Exit.void);
      assert.deepEqual(log, ["start", "stop"]);
      // A call that knew the model before it was retired.
      yield* Effect.scoped(slot.lease);
      assert.deepEqual(log, ["start", "stop", "start", "stop"]);
      assert.equal(slot.state(), "available");
    });
  });

  it.effect("ends at once when it is retired idle, and after its start when that is under way", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const scope = yield* Effect.scope;
      const gate = yield* Deferred.make<void>();
      const start = Effect.acquireRelease(Effect.as(Deferred.await(gate), engine), () =>
        Effect.sync(() => log.push("stop")),
      );
      const slot = makeSlot({ facts, problem: "", start, scope, onChange: Effect.void });
      const first = yield* Effect.forkChild(Effect.scoped(slot.lease), { startImmediately: true });
      yield* slot.retire;
      yield* Fiber.interrupt(first);
      assert.equal(slot.state(), "loading");
      yield* Deferred.succeed(gate, undefined);
      yield* Effect.yieldNow;
      yield* Effect.yieldNow;
      assert.deepEqual(log, ["stop"]);

      const idle = makeSlot({ facts, problem: "", start: Effect.as(start, engine), scope, onChange: Effect.void });
      yield* Effect.scoped(idle.lease);
      yield* idle.retire;
      assert.deepEqual(log, ["stop", "stop"]);
    });
  });
});
