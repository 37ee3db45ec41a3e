/** One model's engine: started once by whoever comes first, kept until the service ends. */
import { Cause, Clock, Deferred, Effect, Exit, Result, Scope } from "effect";

import { ModelBroken } from "../domain/errors.ts";
import type { ModelFacts, ModelState, ModelStatus } from "../domain/model.ts";
import type { Engine } from "../engine/Engine.ts";

export interface ModelSlot {
  readonly facts: ModelFacts;
  readonly state: () => ModelState;
  readonly status: Effect.Effect<Omit<ModelStatus, "isDefault">>;
  /** Open ones: while there are any the engine has to stay. */
  readonly leases: () => number;
  readonly lease: Effect.Effect<Engine, ModelBroken, Scope.Scope>;
  /**
   * Ends the engine as soon as no lease is open. A lease that comes later all the same, of a call that knew the model
   * before, starts it for as long as it is open.
   */
  readonly retire: Effect.Effect<void>;
}

export interface ModelSlotOptions {
  readonly facts: ModelFacts;
  /** Why it can never be loaded; empty when it can. */
  readonly problem: string;
  readonly start: Effect.Effect<Engine, ModelBroken, Scope.Scope>;
  /** Holds the engine, and its start. */
  readonly scope: Scope.Scope;
  /** Run after each change of state. */
  readonly onChange: Effect.Effect<void>;
}

export const makeSlot = ({ facts, problem, start, scope, onChange }: ModelSlotOptions): ModelSlot => {
  let phase: Phase =
    problem === "" ? { state: "available" } : { state: "failed", error: broken(facts, problem), retryAt: Infinity };
  let lastUsedAt: number | undefined;
  let leases = 0;
  let retired = false;

  const enter = (next: Phase) =>
    Effect.suspend(() => {
      phase = next;
      return onChange;
    });

  /** It goes on by itself: who gave the last lease back does not wait for it. */
  const endIfUnwanted = Effect.suspend(() => {
    if (!retired || leases > 0 || phase.state !== "active") return Effect.void;
    const { engineScope } = phase;
    return Effect.andThen(
      enter({ state: "available" }),
      Effect.forkIn(Scope.close(engineScope, Exit.void), scope, { startImmediately: true }),
    );
  });

  const settle = Effect.fnUntraced(function* (exit: Exit.Exit<Started, ModelBroken>) {
    const now = yield* Clock.currentTimeMillis;
    if (Exit.isSuccess(exit)) {
      yield* enter({ state: "active", ...exit.value, loadedAt: now });
      yield* Effect.annotateLogs(Effect.logInfo("model loaded"), { model: facts.id });
      return yield* endIfUnwanted;
    }
    // Nobody but the service's end interrupts a start.
    if (Cause.hasInterrupts(exit.cause)) return yield* enter({ state: "available" });
    const found = Cause.findError(exit.cause);
    const error = Result.isSuccess(found) ? found.success : broken(facts, "its start failed in an unforeseen way");
    yield* Effect.annotateLogs(Effect.logError("model failed to load", exit.cause), { model: facts.id });
    return yield* enter({ state: "failed", error, retryAt: now + retryFailedAfterMs });
  });

  const startInScope = Effect.gen(function* () {
    const engineScope = yield* Scope.fork(scope);
    const engine = yield* start.pipe(
      Scope.provide(engineScope),
      Effect.onError((cause) => Scope.close(engineScope, Exit.failCause(cause))),
    );
    return { engine, engineScope };
  });

  const engine = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (phase.state === "active") return phase.engine;
      if (phase.state === "loading") return yield* restore(Deferred.await(phase.engine));
      if (phase.state === "failed" && (yield* Clock.currentTimeMillis) < phase.retryAt) return yield* phase.error;
      const started = Deferred.makeUnsafe<Engine, ModelBroken>();
      yield* enter({ state: "loading", engine: started });
      yield* startInScope.pipe(
        Effect.onExit(settle),
        Effect.map(({ engine: ready }) => ready),
        Deferred.into(started),
        Effect.forkIn(scope),
      );
      return yield* restore(Deferred.await(started));
    }),
  );

  const use = Effect.gen(function* () {
    leases += 1;
    lastUsedAt = yield* Clock.currentTimeMillis;
  });
  const giveBack = Effect.gen(function* () {
    leases -= 1;
    lastUsedAt = yield* Clock.currentTimeMillis;
    yield* endIfUnwanted;
  });

  return {
    facts,
    state: () => phase.state,
    status: Effect.gen(function* () {
      const current = phase;
      const memory = current.state === "active" ? yield* current.engine.status : nothingResident;
      return {
        facts,
        state: current.state,
        stateReason: current.state === "failed" ? current.error.cause : "",
        pinned: false,
        loadedAt: current.state === "active" ? current.loadedAt : undefined,
        lastUsedAt,
        residentBytes: memory.residentBytes,
        kvCacheBytes: memory.kvCacheBytes,
        prefixCacheBytes: memory.prefixCacheBytes,
        engineRestarts: memory.restarts,
      };
    }),
    leases: () => leases,
    lease: Effect.andThen(
      Effect.acquireRelease(use, () => giveBack),
      engine,
    ),
    retire: Effect.suspend(() => {
      retired = true;
      return Effect.asVoid(endIfUnwanted);
    }),
  };
};

interface Started {
  readonly engine: Engine;
  readonly engineScope: Scope.Closeable;
}

type Phase =
  | { readonly state: "available" }
  | { readonly state: "loading"; readonly engine: Deferred.Deferred<Engine, ModelBroken> }
  | ({ readonly state: "active"; readonly loadedAt: number } & Started)
  /** `retryAt` in epoch milliseconds: until then a lease gets the same error. */
  | { readonly state: "failed"; readonly error: ModelBroken; readonly retryAt: number };

/** Long enough that a crowd of callers does not start a broken model over and over. */
const retryFailedAfterMs = 5_000;

const nothingResident = { residentBytes: 0, kvCacheBytes: 0, prefixCacheBytes: 0, restarts: 0 };

const broken = ({ id }: ModelFacts, cause: string) => new ModelBroken({ model: id, cause });
