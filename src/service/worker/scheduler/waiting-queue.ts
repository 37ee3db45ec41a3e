/** Sequences that wait for their prefill, in the order of their turns. */
import type { Sequence } from "../sequence/sequence.ts";

export class WaitingQueue {
  private waiting: Sequence[] = [];

  get length(): number {
    return this.waiting.length;
  }

  [Symbol.iterator](): Iterator<Sequence> {
    return this.waiting.values();
  }

  add(...sequences: ReadonlyArray<Sequence>): void {
    this.waiting.push(...sequences);
  }

  drop(gone: (sequence: Sequence) => boolean): void {
    this.waiting = this.waiting.filter((sequence) => !gone(sequence));
  }

  /**
   * Iterates in turn order, treating each yielded sequence as running. The sequence that is due first comes first,
   * deferred by each running one with the same fairness id; among equals, in order of arrival. Does not change the
   * queue.
   */
  *inTurn(running: Iterable<Sequence>): Generator<Sequence> {
    const runningOf = new Map<string, number>();
    const begin = ({ fairnessId }: Sequence): void =>
      void runningOf.set(fairnessId, (runningOf.get(fairnessId) ?? 0) + 1);
    for (const sequence of running) begin(sequence);
    const left = new Set(this.waiting);
    while (left.size > 0) {
      let next: Sequence | undefined;
      let due = Number.POSITIVE_INFINITY;
      for (const sequence of left) {
        const own = sequence.turn + (runningOf.get(sequence.fairnessId) ?? 0) * deferralPerRunning;
        if (next === undefined || own < due) [next, due] = [sequence, own];
      }
      if (next === undefined) return;
      left.delete(next);
      begin(next);
      yield next;
    }
  }
}

/** In seconds, the same as in front of the engine. */
const deferralPerRunning = 1;
