/** An engine in memory, and its end under those who use it. */
import { Deferred, Effect, Exit, Scope } from "effect";

import { ModelUnloaded } from "../../domain/errors.ts";
import type { Engine, EngineHealth } from "../../engine/Engine.ts";

export class LoadedEngine {
  /** Its generations fail with ModelUnloaded when they are expelled. */
  readonly engine: Engine;
  /** Epoch milliseconds. */
  readonly loadedAt: number;
  /** As it was told last. */
  health: EngineHealth = "serving";
  private readonly scope: Scope.Closeable;
  private readonly expelled = Deferred.makeUnsafe<never, ModelUnloaded>();
  private readonly closed = Deferred.makeUnsafe<void>();

  /** @param scope holds the engine's process */
  constructor(engine: Engine, scope: Scope.Closeable, loadedAt: number) {
    this.engine = {
      generate: (request, onEvent) =>
        Effect.raceFirst(engine.generate(request, onEvent), Deferred.await(this.expelled)),
      embed: (request, onAdmitted) =>
        Effect.raceFirst(engine.embed(request, onAdmitted), Deferred.await(this.expelled)),
      cancel: engine.cancel,
      health: engine.health,
      failure: engine.failure,
      status: engine.status,
    };
    this.scope = scope;
    this.loadedAt = loadedAt;
  }

  /** The process has ended. */
  get gone(): Effect.Effect<void> {
    return Deferred.await(this.closed);
  }

  /** Fails what still runs. */
  expel(model: string): void {
    Deferred.doneUnsafe(this.expelled, Exit.fail(new ModelUnloaded({ model })));
  }

  /** Ends the process; `onClosed` comes before those who wait for it to be gone. */
  close(onClosed: () => void): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* Scope.close(this.scope, Exit.void);
      onClosed();
      Deferred.doneUnsafe(this.closed, Exit.void);
    });
  }
}
