/** Unloads a model: at once, or when its users have finished. */
import { Effect } from "effect";

import { takenBytes } from "../../engine/EngineStatus.ts";
import type { Unloaded, UnloadOptions, UnloadReason } from "../memory/retention.ts";
import type { LoadedEngine } from "./LoadedEngine.ts";
import type { SlotState } from "./SlotState.ts";

export class SlotUnloading {
  private readonly state: SlotState;

  constructor(state: SlotState) {
    this.state = state;
  }

  /** Unloads it at once, or when its users have finished. */
  leave(why: UnloadReason): void {
    if (this.state.apply({ type: "leave", why })) this.closeIfUnused();
  }

  /** Cancels an eviction that has not happened yet. */
  stay(): void {
    if (this.state.apply({ type: "stay" })) this.leaveIfRetired();
  }

  leaveIfRetired(): void {
    if (this.state.retired) this.leave("removal");
  }

  /** To be called when a user gives the engine back. */
  closeIfUnused(): boolean {
    const { phase, users } = this.state;
    if (phase.state !== "draining" || !users.haveLeft) return false;
    this.close(phase.loaded);
    return true;
  }

  /** Completes when the process has ended. */
  drain(loaded: LoadedEngine, { drainMs, force }: UnloadOptions): Effect.Effect<Unloaded> {
    return Effect.gen({ self: this }, function* () {
      const freedBytes = takenBytes(yield* loaded.engine.status);
      if (this.state.apply({ type: "unload", loaded })) {
        if (force) this.expel(loaded);
        else if (!this.closeIfUnused()) {
          const late = Effect.andThen(
            Effect.sleep(drainMs),
            Effect.sync(() => this.expel(loaded)),
          );
          this.state.options.run(Effect.raceFirst(late, loaded.gone));
        }
      }
      yield* loaded.gone;
      return { unloaded: true, freedBytes };
    });
  }

  private expel(loaded: LoadedEngine): void {
    loaded.expel(this.state.id);
    this.close(loaded);
  }

  private close(loaded: LoadedEngine): void {
    const { phase, options, id } = this.state;
    if (phase.state !== "draining" || !this.state.apply({ type: "close", loaded })) return;
    const { why } = phase;
    options.onLeft(why);
    options.run(
      Effect.andThen(
        loaded.close(() => this.state.apply({ type: "released" })),
        Effect.annotateLogs(Effect.logInfo("model unloaded"), { model: id, why }),
      ),
    );
  }
}
