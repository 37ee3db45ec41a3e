/** Who waits for a model's engine and who has it, and when it was last used. */
import type { Clock } from "effect";

import type { LoadedEngine } from "./LoadedEngine.ts";

/** One who waits for the engine, or has it. */
export interface Place {
  loaded: LoadedEngine | undefined;
}

export class ModelUsers {
  private readonly clock: Clock.Clock;
  private readonly waiting = new Set<Place>();
  private holding = 0;
  private usedAt: number | undefined;

  constructor(clock: Clock.Clock) {
    this.clock = clock;
  }

  /** Epoch milliseconds; undefined before the first time. */
  get lastUsedAt(): number | undefined {
    return this.usedAt;
  }

  /** Whether nobody has it. */
  get haveLeft(): boolean {
    return this.holding === 0;
  }

  /** Whether nobody has it or waits for it. */
  get areNone(): boolean {
    return this.haveLeft && this.waiting.size === 0;
  }

  wait(): Place {
    const place: Place = { loaded: undefined };
    this.waiting.add(place);
    return place;
  }

  /** All who wait have the engine from here on, also where it is asked to go in the same moment. */
  admit(loaded: LoadedEngine): void {
    if (this.waiting.size === 0) return;
    for (const place of this.waiting) place.loaded = loaded;
    this.holding += this.waiting.size;
    this.waiting.clear();
    this.touch();
  }

  /** Gives the engine back, or up waiting for it. */
  leave(place: Place): void {
    if (place.loaded === undefined) {
      this.waiting.delete(place);
      return;
    }
    this.holding -= 1;
    this.touch();
  }

  touch(): void {
    this.usedAt = this.clock.currentTimeMillisUnsafe();
  }
}
