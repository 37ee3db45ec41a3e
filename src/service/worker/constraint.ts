/**
 * Holds the output of constrained sequences to their grammars, inside a batch: what a row may go on with is told by the
 * thread of the grammars while the device computes its logits, and is applied to them in the graph.
 */
import { Worker } from "node:worker_threads";

import { ConstraintProgress } from "./constraint-progress.ts";
import {
  type FromGrammarThread,
  type GrammarThreadData,
  type Mask,
  MaskBoard,
  type ToGrammarThread,
} from "./mask-board.ts";
import { mx, type Tensor } from "./mlx.ts";
import type { SequenceConstraint, VocabularyMessage } from "./protocol.ts";
import type { Sequence } from "./sequence.ts";

type Rows = ReadonlyArray<Sequence | undefined>;

export class Constraints {
  private readonly vocabularySize: number;
  private readonly slots: number;
  private vocabulary: VocabularyMessage = { type: "vocabulary", pieces: [], markerTokenIds: [] };
  private thread: Worker | undefined;
  private board: MaskBoard | undefined;
  /** Steps that the thread was asked for. */
  private steps = 0;
  private readonly opening = new Map<number, (problem: string | undefined) => void>();
  private readonly running = new Map<number, ConstraintProgress>();
  /** Masks on the device, by what they hold; the one that was used longest ago first. */
  private readonly masks = new Map<string, Tensor>();

  /** @param slots rows that a batch has at most */
  constructor(vocabularySize: number, slots: number) {
    this.vocabularySize = vocabularySize;
    this.slots = slots;
  }

  setVocabulary(message: VocabularyMessage): void {
    this.vocabulary = message;
  }

  /** Calls back once the sequence can begin, or cannot. Only a sequence that has begun is given to the scheduler. */
  open(sequence: number, constraint: SequenceConstraint, done: (problem: string | undefined) => void): void {
    this.opening.set(sequence, (problem) => {
      if (problem === undefined) this.running.set(sequence, new ConstraintProgress(constraint));
      done(problem);
    });
    this.post({ type: "open", sequence, grammar: constraint.grammar });
  }

  /** Forgets a sequence that has not begun; false if there is none. */
  abandon(sequence: number): boolean {
    if (!this.opening.delete(sequence)) return false;
    this.post({ type: "close", sequence });
    return true;
  }

  /** Forgets all but these. */
  keep(sequences: Iterable<Sequence>): void {
    if (this.running.size === 0) return;
    const kept = new Set(Array.from(sequences, ({ id }) => id));
    for (const id of this.running.keys()) {
      if (kept.has(id)) continue;
      this.running.delete(id);
      this.post({ type: "close", sequence: id });
    }
  }

  /** Whether any of them is constrained. */
  concerns(rows: Rows): boolean {
    return this.running.size > 0 && rows.some((sequence) => sequence !== undefined && this.running.has(sequence.id));
  }

  /**
   * Takes in the tokens that were fed and forbids what may not follow. Without constrained rows it does nothing.
   *
   * @param logits float32 [rows, vocabulary], adjusted
   * @param fed int32 [rows], the last token of each row; undefined where the output begins
   */
  apply(logits: Tensor, fed: Tensor | undefined, rows: Rows): Tensor {
    if (!this.concerns(rows)) return logits;
    mx.asyncEval(logits);
    const masks = this.follow(fed, rows);
    if (masks.every((mask) => mask === undefined)) return logits;
    const allowed = mx.concatenate(
      masks.map((mask) => mask ?? this.everything),
      0,
    );
    return mx.where(allowed, logits, Number.NEGATIVE_INFINITY);
  }

  /** Takes in the tokens that were fed, and tells the sequences whose constraint ends with theirs. */
  settle(fed: Tensor, rows: Rows): void {
    if (this.concerns(rows)) this.follow(fed, rows);
  }

  /** What each row may go on with; undefined: with anything. */
  private follow(fed: Tensor | undefined, rows: Rows): ReadonlyArray<Tensor | undefined> {
    const ids = fed?.tolist() as ReadonlyArray<number> | undefined;
    const asked: { readonly row: number; readonly sequence: Sequence; readonly progress: ConstraintProgress }[] = [];
    const steps: Extract<ToGrammarThread, { type: "step" }>["steps"][number][] = [];
    for (const [row, sequence] of rows.entries()) {
      const progress = sequence && this.running.get(sequence.id);
      if (sequence === undefined || progress === undefined || sequence.cancelled || sequence.bound !== undefined)
        continue;
      const tokenId = ids?.[row];
      if (tokenId !== undefined && sequence.stopIds.has(tokenId)) continue;
      if (!progress.advance(tokenId, sequence)) continue;
      const { remainingTokens } = sequence;
      steps.push({ slot: row, sequence: sequence.id, tokenId: progress.toMatch(tokenId), remainingTokens });
      asked.push({ row, sequence, progress });
    }
    const masks = rows.map((): Tensor | undefined => undefined);
    if (steps.length === 0) return masks;
    this.post({ type: "step", steps });
    this.steps += 1;
    const { board } = this;
    if (board?.wait(this.steps) !== true) throw new Error("the thread of the grammars does not answer");
    for (const { row, sequence, progress } of asked) masks[row] = this.maskFor(board.read(row), sequence, progress);
    return masks;
  }

  private maskFor(mask: Mask, sequence: Sequence, progress: ConstraintProgress): Tensor | undefined {
    const also = progress.mayOpen;
    const isOver = mask.state === "ended" || (mask.state === "fulfilled" && sequence.remainingTokens <= 0);
    if (isOver) sequence.bound = "fulfilled";
    else if (mask.state === "broken" && also === undefined) sequence.bound = "stuck";
    if (sequence.bound !== undefined) return undefined;
    const set = [...(mask.state === "fulfilled" ? sequence.stopIds : []), ...(also === undefined ? [] : [also])];
    const cleared = [...sequence.stopIds, ...(progress.allowsMarkers ? [] : this.vocabulary.markerTokenIds)];
    const key = `${mask.digest}/${cleared.join()}/${set.join()}`;
    const known = this.masks.get(key);
    const tensor = known ?? this.onDevice(mask.state === "broken" ? mask.words.map(() => 0) : mask.words, cleared, set);
    this.masks.delete(key);
    this.masks.set(key, tensor);
    const [oldest] = this.masks.keys();
    if (this.masks.size > maxMasks && oldest !== undefined) this.masks.delete(oldest);
    return tensor;
  }

  /** bool [1, vocabulary]: the words' bits, the first tokens of them cleared and then the others set. */
  private onDevice(words: Int32Array, cleared: Iterable<number>, set: Iterable<number>): Tensor {
    const own = Int32Array.from(words);
    for (const id of cleared) own[id >>> 5] = (own[id >>> 5] ?? 0) & ~(1 << (id & 31));
    for (const id of set) own[id >>> 5] = (own[id >>> 5] ?? 0) | (1 << (id & 31));
    // Numbers cross the border as float32, which has 24 bits for whole ones.
    const halves = Array.from(new Uint16Array(own.buffer));
    const shape = [halves.length, 16];
    // Both operands whole: with implicit broadcasting these operations corrupt memory.
    const packed = mx.broadcastTo(mx.array(halves, mx.int32).reshape(halves.length, 1), shape);
    const places = mx.broadcastTo(mx.arange(0, 16, 1, mx.int32).reshape(1, 16), shape);
    const ones = mx.broadcastTo(mx.array([1], mx.int32).reshape(1, 1), shape);
    const bits = mx.bitwiseAnd(mx.rightShift(packed, places), ones).reshape(1, halves.length * 16);
    const bool = mx.greater(bits.index(mx.Slice(), mx.Slice(0, this.vocabularySize)), 0);
    mx.asyncEval(bool);
    return bool;
  }

  private get everything(): Tensor {
    const key = "everything";
    const known = this.masks.get(key);
    if (known !== undefined) return known;
    const made = mx.greater(mx.full([1, this.vocabularySize], 1, mx.int32), 0);
    this.masks.set(key, made);
    return made;
  }

  private post(message: ToGrammarThread): void {
    this.thread ??= this.start();
    this.thread.postMessage(message);
  }

  private start(): Worker {
    this.board = new MaskBoard(this.vocabularySize, this.slots);
    const { pieces } = this.vocabulary;
    const { vocabularySize, slots } = this;
    const data: GrammarThreadData = { pieces, vocabularySize, slots, memory: this.board.memory };
    const thread = new Worker(new URL("grammar-thread.ts", import.meta.url), { workerData: data });
    // An engine that is idle may still end.
    thread.unref();
    thread.on("message", ({ sequence, problem }: FromGrammarThread) => {
      const done = this.opening.get(sequence);
      this.opening.delete(sequence);
      done?.(problem);
    });
    return thread;
  }
}

/** A mask takes a byte for each token of the vocabulary. */
const maxMasks = 64;
