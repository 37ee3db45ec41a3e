/** An engine in memory. It can be taken away from the tasks that use it. */
import { Deferred, Effect, Exit, Scope } from "effect";

import { ModelUnloaded } from "../../domain/errors.ts";
import { type AnyEngine, takesConversations } from "../../engine/Engine.ts";
import type { EngineHealth } from "../../engine/EngineStatus.ts";
import type { Moment } from "./moment.ts";

export class LoadedEngine {
  /** Its generations fail with ModelUnloaded after `expel`. */
  readonly engine: AnyEngine;
  readonly loadedAt: Moment;
  /** The health reported last. */
  health: EngineHealth = "serving";
  private readonly scope: Scope.Closeable;
  private readonly expelled = Deferred.makeUnsafe<never, ModelUnloaded>();
  private readonly closed = Deferred.makeUnsafe<void>();

  /** @param scope holds the engine's process */
  constructor(engine: AnyEngine, scope: Scope.Closeable, loadedAt: Moment) {
    const untilExpelled = <A, E>(run: Effect.Effect<A, E>) => Effect.raceFirst(run, Deferred.await(this.expelled));
    this.engine = takesConversations(engine)
      ? { ...engine, converse: (...request) => untilExpelled(engine.converse(...request)) }
      : {
          ...engine,
          generate: (...request) => untilExpelled(engine.generate(...request)),
          embed: (...request) => untilExpelled(engine.embed(...request)),
        };
    this.scope = scope;
    this.loadedAt = loadedAt;
  }

  /** Completes when the process has ended. */
  get gone(): Effect.Effect<void> {
    return Deferred.await(this.closed);
  }

  /** Fails every request that still runs. */
  expel(model: string): void {
    Deferred.doneUnsafe(this.expelled, Exit.fail(new ModelUnloaded({ model })));
  }

  /** Ends the process. `onClosed` is called before `gone` completes. */
  close(onClosed: () => void): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* Scope.close(this.scope, Exit.void);
      onClosed();
      Deferred.doneUnsafe(this.closed, Exit.void);
    });
  }
}
