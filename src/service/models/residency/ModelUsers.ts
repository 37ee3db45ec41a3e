/** Who waits for a model's engine and who has it, and when it was last used. */
import type { Clock } from "effect";

import type { LoadedEngine } from "./LoadedEngine.ts";

/** One who waits for the engine, or has it. */
export interface ModelUser {
  loaded: LoadedEngine | undefined;
}

export class ModelUsers {
  private readonly clock: Clock.Clock;
  private readonly waiting = new Set<ModelUser>();
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

  wait(): ModelUser {
    const user: ModelUser = { loaded: undefined };
    this.waiting.add(user);
    return user;
  }

  /** All who wait have the engine from here on, also where it is asked to go in the same moment. */
  admit(loaded: LoadedEngine): void {
    if (this.waiting.size === 0) return;
    for (const user of this.waiting) user.loaded = loaded;
    this.holding += this.waiting.size;
    this.waiting.clear();
    this.touch();
  }

  /** Gives the engine back, or up waiting for it. */
  leave(user: ModelUser): void {
    if (user.loaded === undefined) {
      this.waiting.delete(user);
      return;
    }
    this.holding -= 1;
    this.touch();
  }

  touch(): void {
    this.usedAt = this.clock.currentTimeMillisUnsafe();
  }
}
