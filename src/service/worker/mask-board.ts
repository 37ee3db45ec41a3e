/** What the engine's thread and that of its grammars share: messages one way, masks in shared memory the other. */
import type { Grammar } from "./protocol.ts";

export interface GrammarThreadData {
  /** By token id; see `VocabularyMessage`. */
  readonly pieces: ReadonlyArray<string>;
  /** Of the model's logits. */
  readonly vocabularySize: number;
  readonly slots: number;
  readonly memory: SharedArrayBuffer;
}

export type ToGrammarThread =
  | { readonly type: "open"; readonly sequence: number; readonly grammar: Grammar }
  | { readonly type: "close"; readonly sequence: number }
  | { readonly type: "step"; readonly steps: ReadonlyArray<GrammarStep> };

interface GrammarStep {
  /** Where the mask is to be written. */
  readonly slot: number;
  readonly sequence: number;
  /** What was written since the last step; undefined: the output begins, whatever was written before. */
  readonly tokenId: number | undefined;
  /** Tokens that there may be from here on. */
  readonly remainingTokens: number;
}

export interface FromGrammarThread {
  readonly type: "opened";
  readonly sequence: number;
  /** Why the grammar cannot be used. */
  readonly problem: string | undefined;
}

/** `ended`: fulfilled, and nothing more may come. `broken`: what was written does not fit. */
type MaskState = "open" | "fulfilled" | "ended" | "broken";

export interface Mask {
  readonly state: MaskState;
  /** A bit for each token of the vocabulary, those that may come next set. Valid until the next step. */
  readonly words: Int32Array;
  /** Equal masks have equal ones. */
  readonly digest: string;
}

/** A mask for each slot. */
export class MaskBoard {
  readonly memory: SharedArrayBuffer;
  private readonly vocabularySize: number;
  private readonly wordsPerMask: number;
  /** Steps that were published. */
  private readonly count: Int32Array;

  constructor(vocabularySize: number, slots: number, memory?: SharedArrayBuffer) {
    this.vocabularySize = vocabularySize;
    this.wordsPerMask = Math.ceil((vocabularySize + 1) / 32);
    this.memory = memory ?? new SharedArrayBuffer(4 * (1 + slots * (headWords + this.wordsPerMask)));
    this.count = new Int32Array(this.memory, 0, 1);
  }

  /**
   * @param words one bit more than the vocabulary has: whether the output may end
   * @param mayEndHere whether it may, by what xgrammar does not know
   * @returns the mask, which may be changed before it is sealed
   */
  write(slot: number, words: Int32Array, mayEndHere: boolean): Int32Array {
    const { head, mask } = this.slot(slot);
    const last = this.vocabularySize >>> 5;
    const endBit = 1 << (this.vocabularySize & 31);
    mask.set(words.subarray(0, this.wordsPerMask));
    const mayEnd = mayEndHere && ((mask[last] ?? 0) & endBit) !== 0;
    // What stands beyond the vocabulary means nothing.
    mask[last] = (mask[last] ?? 0) & (endBit - 1);
    head[0] = states.indexOf(mayEnd ? "fulfilled" : "open");
    return mask;
  }

  /** Ends the writing of a mask. */
  seal(slot: number): void {
    const { head, mask } = this.slot(slot);
    const mayEnd = head[0] === states.indexOf("fulfilled");
    if (mask.every((word) => word === 0)) head[0] = states.indexOf(mayEnd ? "ended" : "broken");
    head[1] = digestOf(mask, 0x01000193);
    head[2] = digestOf(mask, 0x5bd1e995);
  }

  writeBroken(slot: number): void {
    this.slot(slot).head[0] = states.indexOf("broken");
  }

  read(slot: number): Mask {
    const { head, mask } = this.slot(slot);
    return { state: states[head[0] ?? 0] ?? "broken", words: mask, digest: `${head[1]}.${head[2]}` };
  }

  publish(): void {
    Atomics.add(this.count, 0, 1);
    Atomics.notify(this.count, 0);
  }

  /** Waits for a step that was asked for; false when it does not come. */
  wait(step: number): boolean {
    const deadline = performance.now() + longestWaitMs;
    for (;;) {
      const published = Atomics.load(this.count, 0);
      if (published >= step) return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      Atomics.wait(this.count, 0, published, left);
    }
  }

  private slot(slot: number): { readonly head: Int32Array; readonly mask: Int32Array } {
    const at = 4 * (1 + slot * (headWords + this.wordsPerMask));
    return {
      head: new Int32Array(this.memory, at, headWords),
      mask: new Int32Array(this.memory, at + 4 * headWords, this.wordsPerMask),
    };
  }
}

const states: ReadonlyArray<MaskState> = ["open", "fulfilled", "ended", "broken"];
const headWords = 3;

/** A thread that takes longer than this, a compilation of a large grammar included, will not come back. */
const longestWaitMs = 60_000;

/** FNV-1a over words; with two multipliers they are as good as unique. */
const digestOf = (words: Int32Array, multiplier: number): number => {
  let digest = 0x811c9dc5;
  for (const word of words) {
    digest = Math.imul(digest ^ word, multiplier);
    digest ^= digest >>> 15;
  }
  return digest;
};
