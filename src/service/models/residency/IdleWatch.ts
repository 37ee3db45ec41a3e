/** Unloads a model that had no task for its idle time. */
import { type Clock, Effect, Fiber } from "effect";

import { elapsedMsUnsafe } from "../../domain/elapsed.ts";

export interface IdleWatchOptions {
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>;
  readonly clock: Clock.Clock;
  /** Milliseconds of domain/elapsed.ts; undefined while it is in use. */
  readonly idleSince: () => number | undefined;
  readonly onExpired: () => void;
}

export class IdleWatch {
  private readonly options: IdleWatchOptions;
  private fiber: Fiber.Fiber<void> | undefined;

  constructor(options: IdleWatchOptions) {
    this.options = options;
  }

  /** Starts watching; an earlier watch ends. */
  begin(ttlMs: number): void {
    this.end();
    this.fiber = this.options.run(this.watch(ttlMs));
  }

  end(): void {
    if (this.fiber !== undefined) this.options.run(Fiber.interrupt(this.fiber));
    this.fiber = undefined;
  }

  /** A model in use cannot have been idle long enough before this much time has passed. */
  private watch(ttlMs: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const since = this.options.idleSince();
        const leftMs = since === undefined ? ttlMs : since + ttlMs - elapsedMsUnsafe(this.options.clock);
        if (leftMs <= 0) return this.options.onExpired();
        yield* Effect.sleep(leftMs);
      }
    });
  }
}
