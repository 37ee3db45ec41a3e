/** Whether the service is shutting down. */
import { Context, Deferred, Effect, Layer } from "effect";

import { Health } from "./Health.ts";

export class Drain extends Context.Service<
  Drain,
  {
    /** A plain function, because every call uses it. */
    readonly isDraining: () => boolean;
    /**
     * Health reports NOT_SERVING for good, so that load balancers stop sending calls; calls are still accepted.
     * Idempotent.
     */
    readonly announce: Effect.Effect<void>;
    /**
     * New calls are refused with DRAINING, and health reports NOT_SERVING. Idempotent. The server does this when its
     * scope closes.
     */
    readonly begin: Effect.Effect<void>;
    /** Waits until `begin` was called. */
    readonly begun: Effect.Effect<void>;
  }
>()("mlxd/server/Drain") {
  static readonly layerNoDeps = Layer.effect(
    Drain,
    Effect.gen(function* () {
      const health = yield* Health;
      const begun = yield* Deferred.make<void>();
      let draining = false;
      return Drain.of({
        isDraining: () => draining,
        announce: health.shutDown,
        begin: Effect.suspend(() => {
          if (draining) return Effect.void;
          draining = true;
          return Effect.logInfo("draining: new calls are refused").pipe(
            Effect.andThen(health.shutDown),
            Effect.andThen(Deferred.succeed(begun, undefined)),
            Effect.asVoid,
          );
        }),
        begun: Deferred.await(begun),
      });
    }),
  );

  static readonly layer = this.layerNoDeps.pipe(Layer.provideMerge(Health.layer));
}
