/**
 * What the engine's main thread and its grammar thread share: messages in both directions, and masks in shared memory.
 */
import type { Grammar } from "../protocol/constraint.ts";

export interface GrammarThreadData {
  /** By token id; see `VocabularyMessage`. */
  readonly pieces: ReadonlyArray<string>;
  /** The size of the model's logits. */
  readonly vocabularySize: number;
  readonly slots: number;
  readonly memory: SharedArrayBuffer;
  readonly limits: Pick<GrammarLimits, "compileMs" | "maskMs">;
}

export interface GrammarLimits {
  /** CPU time for compiling a grammar, including its first mask. */
  readonly compileMs: number;
  /** CPU time for computing a mask. */
  readonly maskMs: number;
  /** A thread without a sign of life for this long is stuck and is replaced. */
  readonly hangMs: number;
}

export type ToGrammarThread =
  | OpenGrammar
  | { readonly type: "close"; readonly sequence: number }
  | { readonly type: "step"; readonly steps: ReadonlyArray<GrammarStep> };

export interface OpenGrammar {
  readonly type: "open";
  readonly sequence: number;
  readonly grammar: Grammar;
  /** The output that exists already. */
  readonly tokenIds: ReadonlyArray<number>;
  /** How many tokens may still follow. */
  readonly remainingTokens: number;
}

export interface GrammarStep {
  /** Where to write the mask, and the number that marks it as written. */
  readonly slot: number;
  readonly ticket: number;
  readonly sequence: number;
  /** Whether the output starts again, whatever came before. */
  readonly begins: boolean;
  /** The token since the last step. */
  readonly tokenId: number | undefined;
  /** How many tokens may still follow. */
  readonly remainingTokens: number;
}

export interface FromGrammarThread {
  readonly type: "opened";
  readonly sequence: number;
  /** The mask, or why the grammar cannot be used. */
  readonly result: { readonly mask: Mask } | { readonly problem: string };
}

/**
 * `ended`: fulfilled, and nothing more may follow. `broken`: no token can follow the output. `too-hard`: the mask was
 * not computed in time. `failed`: it could not be computed because of a bug.
 */
type MaskState = "open" | "fulfilled" | "ended" | "broken" | "too-hard" | "failed";

export interface Mask {
  readonly state: MaskState;
  /**
   * One bit per token of the vocabulary, set if it may come next. Words in shared memory are valid until the next step.
   */
  readonly words: Int32Array;
  /** Equal masks have equal digests. */
  readonly digest: string;
}

/** Masks in memory that both threads share, one per slot. */
export class SharedMasks {
  readonly memory: SharedArrayBuffer;
  private readonly wordsPerMask: number;
  /** The grammar thread's signs of life, and the sequence that it works for. */
  private readonly signs: Int32Array;

  constructor(vocabularySize: number, slots: number, memory?: SharedArrayBuffer) {
    this.wordsPerMask = Math.ceil(vocabularySize / 32);
    this.memory = memory ?? new SharedArrayBuffer(4 * (2 + slots * (headWords + this.wordsPerMask)));
    this.signs = new Int32Array(this.memory, 0, 2);
  }

  write(slot: number, ticket: number, { state, words, digest }: Mask): void {
    const { head, mask } = this.slot(slot);
    mask.set(words);
    head[1] = states.indexOf(state);
    const [first = "0", second = "0"] = digest.split(".");
    head[2] = Number(first);
    head[3] = Number(second);
    Atomics.store(head, 0, ticket);
    this.sign();
  }

  /** Undefined until it has been written. */
  read(slot: number, ticket: number): Mask | undefined {
    const { head, mask } = this.slot(slot);
    if (Atomics.load(head, 0) !== ticket) return undefined;
    return { state: states[head[1] ?? 0] ?? "broken", words: mask, digest: `${head[2]}.${head[3]}` };
  }

  get life(): number {
    return Atomics.load(this.signs, 0);
  }

  /** The sequence that the grammar thread works for. */
  get workingFor(): number {
    return Atomics.load(this.signs, 1);
  }

  set workingFor(sequence: number) {
    Atomics.store(this.signs, 1, sequence);
  }

  /** Wakes the thread that waits. */
  sign(): void {
    Atomics.add(this.signs, 0, 1);
    Atomics.notify(this.signs, 0);
  }

  /** Waits until the condition holds; false if it does not within this many milliseconds. */
  wait(holds: () => boolean, milliseconds: number): boolean {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const { life } = this;
      if (holds()) return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      Atomics.wait(this.signs, 0, life, left);
    }
  }

  private slot(slot: number): { readonly head: Int32Array; readonly mask: Int32Array } {
    const at = 4 * (2 + slot * (headWords + this.wordsPerMask));
    return {
      head: new Int32Array(this.memory, at, headWords),
      mask: new Int32Array(this.memory, at + 4 * headWords, this.wordsPerMask),
    };
  }
}

const states: ReadonlyArray<MaskState> = ["open", "fulfilled", "ended", "broken", "too-hard", "failed"];
const headWords = 4;

/** Two 32-bit FNV-1a digests over the words, with different multipliers; collisions are negligible. */
export const maskDigest = (words: Int32Array): string =>
  `${digestOf(words, 0x01000193)}.${digestOf(words, 0x5bd1e995)}`;

const digestOf = (words: Int32Array, multiplier: number): number => {
  let digest = 0x811c9dc5;
  for (const word of words) {
    digest = Math.imul(digest ^ word, multiplier);
    digest ^= digest >>> 15;
  }
  return digest;
};
