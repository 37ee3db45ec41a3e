/**
 * The requests of an engine that have not ended, and which of them its process has.
 *
 * When a process dies, nobody knows which of its requests was the cause. Those of which nothing had gone out are tried
 * on the next process, once, one at a time and with nothing beside them, until they are past the token that they had
 * come to: what dies again was the cause, and takes nobody with it. Everything else waits until the last trial is over.
 */
import type { EngineRun } from "./EngineRun.ts";

export class Runs<Entry extends { readonly run: EngineRun }> {
  /** By the sequence number that the run has now. */
  private readonly entries = new Map<number, Entry>();
  /** Those that the process has. */
  private readonly given = new Set<Entry>();
  /** Those whose trial is not over, in the order in which they came. */
  private readonly suspects = new Set<Entry>();
  private readonly give: (entry: Entry) => void;
  private readonly withdraw: (sequence: number) => void;
  private hasProcess = false;
  private lastSequence = 0;

  /**
   * @param give gives a request to the process
   * @param withdraw takes it back: the process drops it
   */
  constructor(give: (entry: Entry) => void, withdraw: (sequence: number) => void) {
    this.give = give;
    this.withdraw = withdraw;
  }

  get size(): number {
    return this.entries.size;
  }

  /** Unique over the engine's life. */
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

  /** It has ended, or its caller has left. */
  remove(entry: Entry): void {
    this.entries.delete(entry.run.sequence);
    this.given.delete(entry);
    this.suspects.delete(entry);
    this.advance();
  }

  /** A process takes requests from here on. */
  begin(): void {
    this.hasProcess = true;
    this.advance();
  }

  /**
   * A token has come that is new. On trial it has passed with it. True where the token is the caller's; where others have
   * yet to be tried it is not, as they must not end its stream: the request then begins again, together with the others.
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

  /** The process has died. Returns the requests that end with it; the others are tried on the next one. */
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

  /** Whether the process that runs was given nothing but one request on trial. */
  get isTrial(): boolean {
    const [only] = this.given;
    return this.given.size === 1 && only !== undefined && this.suspects.has(only);
  }

  /** Gives the process what it may have now. */
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
