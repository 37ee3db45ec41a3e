/** The users of a model's engine, those who wait for it, and when it was last used. */
import type { Clock } from "effect";

import type { LoadedEngine } from "./LoadedEngine.ts";
import { type Moment, momentOf } from "./moment.ts";

/** A task that waits for the engine or has it. */
export interface ModelUser {
  loaded: LoadedEngine | undefined;
}

export class ModelUsers {
  private readonly clock: Clock.Clock;
  private readonly waiting = new Set<ModelUser>();
  private holding = 0;
  private usedAt: Moment | undefined;

  constructor(clock: Clock.Clock) {
    this.clock = clock;
  }

  /** Undefined before the first use. */
  get lastUsedAt(): Moment | undefined {
    return this.usedAt;
  }

  /** Tasks that have it or wait for it. */
  get taken(): number {
    return this.holding + this.waiting.size;
  }

  /** Whether no task has it. */
  get haveLeft(): boolean {
    return this.holding === 0;
  }

  /** Whether no task has it or waits for it. */
  get areNone(): boolean {
    return this.haveLeft && this.waiting.size === 0;
  }

  wait(): ModelUser {
    const user: ModelUser = { loaded: undefined };
    this.waiting.add(user);
    return user;
  }

  /** Gives the engine to all who wait, even if it is asked to leave in the same moment. */
  admit(loaded: LoadedEngine): void {
    if (this.waiting.size === 0) return;
    for (const user of this.waiting) user.loaded = loaded;
    this.holding += this.waiting.size;
    this.waiting.clear();
    this.touch();
  }

  /** Gives the engine back, or stops waiting for it. */
  leave(user: ModelUser): void {
    if (user.loaded === undefined) {
      this.waiting.delete(user);
      return;
    }
    this.holding -= 1;
    this.touch();
  }

  touch(): void {
    this.usedAt = momentOf(this.clock);
  }
}
