/**
 * The requests of an engine that have not ended, and which of them its process has.
 *
 * When a process dies, nobody knows which of its requests was the cause. Requests that had delivered nothing become
 * suspects: each is tried once on the next process, alone, until it is past the token that it had reached. If the
 * process dies again, that request was the cause, and no other is lost with it. All other requests wait until the last
 * trial is over.
 */
import type { EngineRun } from "./EngineRun.ts";

export class Runs<Entry extends { readonly run: EngineRun }> {
  /** By the run's current sequence number. */
  private readonly entries = new Map<number, Entry>();
  /** The requests that the process has. */
  private readonly given = new Set<Entry>();
  /** The suspects that still have to pass their trial, in order of arrival. */
  private readonly suspects = new Set<Entry>();
  private readonly give: (entry: Entry) => void;
  private readonly withdraw: (sequence: number) => void;
  private hasProcess = false;
  private lastSequence = 0;

  /**
   * @param give gives a request to the process
   * @param withdraw tells the process to drop a request
   */
  constructor(give: (entry: Entry) => void, withdraw: (sequence: number) => void) {
    this.give = give;
    this.withdraw = withdraw;
  }

  get size(): number {
    return this.entries.size;
  }

  /** Unique within the engine's life. */
  nextSequence(): number {
    this.lastSequence += 1;
    return this.lastSequence;
  }

  find(sequence: number): Entry | undefined {
    return this.entries.get(sequence);
  }

  [Symbol.iterator](): Iterator<Entry> {
    return [...this.entries.values()].values();
  }

  add(entry: Entry): void {
    this.entries.set(entry.run.sequence, entry);
    this.advance();
  }

  /** Forgets a request that has ended or whose caller has left. */
  remove(entry: Entry): void {
    this.entries.delete(entry.run.sequence);
    this.given.delete(entry);
    this.suspects.delete(entry);
    this.advance();
  }

  /** A process takes requests from now on. */
  begin(): void {
    this.hasProcess = true;
    this.advance();
  }

  /**
   * A new token has come, with which a request on trial passes it. True if the token may be delivered. False while
   * others still have to be tried: a delivered token would make the request impossible to replay if one of their trials
   * kills the process, so this request starts again together with the others.
   */
  passes(entry: Entry): boolean {
    if (!this.suspects.delete(entry)) return true;
    const isLast = this.suspects.size === 0;
    if (!isLast) {
      this.withdraw(entry.run.sequence);
      this.given.delete(entry);
      this.entries.delete(entry.run.sequence);
      entry.run.sequence = this.nextSequence();
      this.entries.set(entry.run.sequence, entry);
    }
    this.advance();
    return isLast;
  }

  /** The process has died. Returns the requests that end with it; the others are tried on the next process. */
  loseProcess(): ReadonlyArray<Entry> {
    this.hasProcess = false;
    const lost: Entry[] = [];
    for (const entry of this.given) {
      entry.run.deaths += 1;
      if (entry.run.streamed || entry.run.deaths > 1) lost.push(entry);
      else this.suspects.add(entry);
    }
    this.given.clear();
    return lost;
  }

  /** Whether the current process has had only one request, which is on trial. */
  get isTrial(): boolean {
    const [only] = this.given;
    return this.given.size === 1 && only !== undefined && this.suspects.has(only);
  }

  /** Gives the process the requests that it may have now. */
  private advance(): void {
    if (!this.hasProcess) return;
    const [suspect] = this.suspects;
    if (suspect !== undefined) return this.giveOnce(suspect);
    for (const entry of this.entries.values()) this.giveOnce(entry);
  }

  private giveOnce(entry: Entry): void {
    if (this.given.has(entry)) return;
    this.given.add(entry);
    this.give(entry);
  }
}
