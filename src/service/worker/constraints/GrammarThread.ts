/** The engine's interface to its grammar thread: requests masks, and replaces a thread that hangs. */
import { Worker } from "node:worker_threads";

import type { Grammar } from "../protocol/constraint.ts";
import {
  type FromGrammarThread,
  type GrammarLimits,
  type GrammarStep,
  type GrammarThreadData,
  type Mask,
  SharedMasks,
  type ToGrammarThread,
} from "./shared-masks.ts";

type Opened = (result: FromGrammarThread["result"]) => void;

interface Follower {
  readonly grammar: Grammar;
  /** Undefined until it is open. */
  opened: Opened | undefined;
  /** The output so far, including the token of the requested step. */
  tokenIds: number[];
  remainingTokens: number;
  slot: number | undefined;
  /** The last requested step. */
  asked: GrammarStep | undefined;
}

export class GrammarThread {
  private readonly pieces: ReadonlyArray<string>;
  private readonly vocabularySize: number;
  private readonly limits: GrammarLimits;
  private readonly program: URL;
  private readonly slots: number;
  private readonly free: number[];
  private readonly followers = new Map<number, Follower>();
  /** Sequences whose grammar a thread was replaced for. */
  private readonly givenUp = new Set<number>();
  private shared: SharedMasks;
  private worker: Worker;
  private steps: GrammarStep[] = [];
  private tickets = 0;
  /** The last sign of life, and when it was seen or when something was requested after an idle time. */
  private life = 0;
  private lifeAt = performance.now();

  /**
   * @param rows the most rows of a batch
   * @param program the thread's program
   */
  constructor(
    pieces: ReadonlyArray<string>,
    vocabularySize: number,
    rows: number,
    limits: GrammarLimits,
    program: URL = grammarThread,
  ) {
    this.pieces = pieces;
    this.vocabularySize = vocabularySize;
    this.limits = limits;
    this.program = program;
    // Rows that have ended keep their slots until the end of a step, during which as many others may begin.
    this.slots = 2 * rows;
    this.free = Array.from({ length: this.slots }, (_, slot) => slot);
    [this.shared, this.worker] = this.start();
    setInterval(() => this.watch(), limits.hangMs / 4).unref();
  }

  /** @param remainingTokens for the first mask */
  open(sequence: number, grammar: Grammar, remainingTokens: number, opened: Opened): void {
    this.stir();
    this.followers.set(sequence, { grammar, opened, tokenIds: [], remainingTokens, slot: undefined, asked: undefined });
    this.post({ type: "open", sequence, grammar, tokenIds: [], remainingTokens });
  }

  /** Forgets a sequence that is not open yet; false if there is none. */
  abandon(sequence: number): boolean {
    if (this.followers.get(sequence)?.opened === undefined) return false;
    this.close(sequence);
    return true;
  }

  close(sequence: number): void {
    const follower = this.followers.get(sequence);
    if (follower?.slot !== undefined) this.free.push(follower.slot);
    this.followers.delete(sequence);
    this.givenUp.delete(sequence);
    this.post({ type: "close", sequence });
  }

  /**
   * Requests the mask after a token; undefined at the beginning of the output. `send` sends the requests.
   *
   * @param remainingTokens how many tokens may follow
   */
  step(sequence: number, tokenId: number | undefined, remainingTokens: number): GrammarStep | undefined {
    const follower = this.followers.get(sequence);
    if (follower === undefined) return undefined;
    const slot = (follower.slot ??= this.free.pop());
    if (slot === undefined) throw new RangeError("more rows are held to grammars than a batch has");
    const begins = tokenId === undefined;
    if (begins) follower.tokenIds = [];
    else follower.tokenIds.push(tokenId);
    follower.remainingTokens = remainingTokens;
    follower.asked = { slot, ticket: this.nextTicket(), sequence, begins, tokenId, remainingTokens };
    this.steps.push(follower.asked);
    return follower.asked;
  }

  send(): void {
    if (this.steps.length === 0) return;
    this.stir();
    this.post({ type: "step", steps: this.steps });
    this.steps = [];
  }

  /** Undefined until the mask has been written. */
  read({ slot, ticket }: GrammarStep): Mask | undefined {
    return this.shared.read(slot, ticket);
  }

  /** Whether the thread hung in this sequence's grammar. */
  hasGivenUp(sequence: number): boolean {
    return this.givenUp.has(sequence);
  }

  /** Waits until the condition holds, at most this many milliseconds. */
  wait(holds: () => boolean, milliseconds: number): void {
    this.shared.wait(holds, milliseconds);
  }

  private get isAsked(): boolean {
    for (const [sequence, { opened, asked }] of this.followers) {
      const isWaiting = opened !== undefined || (asked !== undefined && this.read(asked) === undefined);
      if (isWaiting && !this.givenUp.has(sequence)) return true;
    }
    return false;
  }

  /** Idle time does not count as silence. */
  private stir(): void {
    if (!this.isAsked) this.lifeAt = performance.now();
  }

  private watch(): void {
    const { life } = this.shared;
    if (life !== this.life || !this.isAsked) {
      this.life = life;
      this.lifeAt = performance.now();
    } else if (performance.now() - this.lifeAt > this.limits.hangMs) this.replace();
  }

  /** Starts a new thread with everything that the old one held, except the grammar that it hung in. */
  private replace(): void {
    const culprit = this.shared.workingFor;
    void this.worker.terminate();
    [this.shared, this.worker] = this.start();
    this.lifeAt = performance.now();
    for (const [sequence, follower] of this.followers) {
      // If the thread ended without working on a grammar, no grammar is to blame.
      if (sequence === culprit || culprit < 0) {
        this.giveUp(sequence, follower);
        continue;
      }
      const { grammar, tokenIds, remainingTokens, asked } = follower;
      this.post({ type: "open", sequence, grammar, tokenIds, remainingTokens });
      if (asked !== undefined) this.post({ type: "step", steps: [{ ...asked, begins: false, tokenId: undefined }] });
    }
  }

  private giveUp(sequence: number, follower: Follower): void {
    const { opened } = follower;
    if (opened === undefined) this.givenUp.add(sequence);
    else {
      this.followers.delete(sequence);
      opened({ problem: `its grammar kept a thread for more than ${this.limits.hangMs} ms` });
    }
  }

  private nextTicket(): number {
    this.tickets = (this.tickets + 1) & 0x7f_ff_ff_ff;
    return this.tickets;
  }

  private post(message: ToGrammarThread): void {
    this.worker.postMessage(message);
  }

  private start(): [SharedMasks, Worker] {
    const { pieces, vocabularySize, slots, limits } = this;
    const shared = new SharedMasks(vocabularySize, slots);
    const data: GrammarThreadData = { pieces, vocabularySize, slots, memory: shared.memory, limits };
    const worker = new Worker(this.program, { workerData: data });
    // Must not keep an idle engine from exiting.
    worker.unref();
    worker.on("message", ({ sequence, result }: FromGrammarThread) => {
      const follower = this.followers.get(sequence);
      if (follower === undefined) return;
      const { opened } = follower;
      if ("mask" in result) follower.opened = undefined;
      else if (opened === undefined) this.givenUp.add(sequence);
      else this.followers.delete(sequence);
      opened?.(result);
    });
    worker.on("error", () => {
      if (worker === this.worker) this.replace();
    });
    return [shared, worker];
  }
}

const grammarThread = new URL("grammar-thread.ts", import.meta.url);
