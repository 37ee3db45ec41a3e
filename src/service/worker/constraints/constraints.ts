/**
 * Enforces grammars on constrained sequences within a batch. The grammar thread computes the allowed tokens while the
 * device computes the logits, and the mask is applied in the graph. A row whose mask is late rests for a step, so that
 * no row waits for another one's grammar.
 */
import { GrammarThread } from "./GrammarThread.ts";
import { ConstraintProgress } from "./constraint-progress.ts";
import type { GrammarLimits, GrammarStep, Mask } from "./shared-masks.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { VocabularyMessage } from "../protocol/to-worker.ts";
import type { SequenceConstraint } from "../protocol/constraint.ts";
import type { Sequence, Unfit } from "../sequence/sequence.ts";

type Rows = ReadonlyArray<Sequence | undefined>;

interface SequenceState {
  readonly progress: ConstraintProgress;
  /** The tokens that may come first, for this many remaining tokens. */
  readonly first: { readonly mask: Mask; readonly remainingTokens: number };
  /** The step that was requested from the thread. */
  asked: GrammarStep | undefined;
}

interface ConstrainedRow {
  readonly row: number;
  readonly sequence: Sequence;
  readonly state: SequenceState;
}

export interface Allowed {
  /** float32 [rows, vocabulary]: -Infinity for tokens that may not follow. */
  readonly logits: Tensor;
  /** Rows whose masks are late: no token may be chosen for them yet. */
  readonly resting: ReadonlySet<number>;
}

export class Constraints {
  private readonly vocabularySize: number;
  private readonly slots: number;
  private readonly limits: GrammarLimits;
  private readonly program: URL | undefined;
  private vocabulary: VocabularyMessage = { type: "vocabulary", pieces: [], markerTokenIds: [] };
  private started: GrammarThread | undefined;
  private readonly running = new Map<number, SequenceState>();
  /** Masks on the device, by their contents; least recently used first. */
  private readonly masks = new Map<string, Tensor>();

  /**
   * @param slots the most rows of a batch
   * @param program the grammar thread's program; @default the usual one
   */
  constructor(vocabularySize: number, slots: number, limits: GrammarLimits = defaultLimits, program?: URL) {
    this.vocabularySize = vocabularySize;
    this.slots = slots;
    this.limits = limits;
    this.program = program;
  }

  setVocabulary(message: VocabularyMessage): void {
    this.vocabulary = message;
  }

  /**
   * Calls back when the sequence can begin, or when it turns out that it cannot. Only a sequence that can begin is
   * given to the scheduler.
   *
   * @param remainingTokens of its output
   */
  open(
    sequence: number,
    constraint: SequenceConstraint,
    remainingTokens: number,
    done: (problem: string | undefined) => void,
  ): void {
    this.thread.open(sequence, constraint.grammar, remainingTokens, (result) => {
      if ("mask" in result) {
        const first = { mask: result.mask, remainingTokens };
        this.running.set(sequence, { progress: new ConstraintProgress(constraint), first, asked: undefined });
      }
      done("problem" in result ? result.problem : undefined);
    });
  }

  /** Forgets a sequence that has not begun; false if there is none. */
  abandon(sequence: number): boolean {
    return this.started?.abandon(sequence) ?? false;
  }

  /** Forgets all sequences except these. */
  retain(sequences: Iterable<Sequence>): void {
    if (this.running.size === 0) return;
    const kept = new Set(Array.from(sequences, ({ id }) => id));
    for (const id of this.running.keys()) {
      if (kept.has(id)) continue;
      this.running.delete(id);
      this.thread.close(id);
    }
  }

  /** Whether any of them is constrained. */
  concerns(rows: Rows): boolean {
    return this.running.size > 0 && rows.some((sequence) => sequence !== undefined && this.running.has(sequence.id));
  }

  /**
   * Reads the tokens that were fed and forbids what may not follow. Does nothing without constrained rows.
   *
   * @param logits float32 [rows, vocabulary], adjusted
   * @param fed int32 [rows], the last token of each row; undefined at the beginning of the output
   */
  apply(logits: Tensor, fed: Tensor | undefined, rows: Rows): Allowed {
    if (!this.concerns(rows)) return { logits, resting: none };
    mx.asyncEval(logits);
    const { masks, resting } = this.follow(fed, rows);
    if (masks.every((mask) => mask === undefined)) return { logits, resting };
    const allowed = mx.concatenate(
      masks.map((mask) => mask ?? this.everything),
      0,
    );
    return { logits: mx.where(allowed, logits, Number.NEGATIVE_INFINITY), resting };
  }

  /**
   * Reads the fed tokens of rows for which no more are chosen, and marks the sequences whose constraint ends with them.
   * Returns the rows whose masks are late.
   */
  advance(fed: Tensor, rows: Rows): ReadonlySet<number> {
    return this.concerns(rows) ? this.follow(fed, rows).resting : none;
  }

  /** The tokens that may follow in each row; undefined: any. */
  private follow(
    fed: Tensor | undefined,
    rows: Rows,
  ): { readonly masks: ReadonlyArray<Tensor | undefined>; readonly resting: ReadonlySet<number> } {
    this.forgetMasks();
    const ids = fed?.tolist() as ReadonlyArray<number> | undefined;
    const masks = rows.map((): Tensor | undefined => undefined);
    const asked: ConstrainedRow[] = [];
    for (const [row, sequence] of rows.entries()) {
      const state = sequence && this.running.get(sequence.id);
      if (sequence === undefined || state === undefined || sequence.cancelled || sequence.bound !== undefined) continue;
      if (state.asked === undefined) {
        const tokenId = ids?.[row];
        if (tokenId !== undefined && sequence.stopIds.has(tokenId)) continue;
        if (!state.progress.advance(tokenId, sequence)) continue;
        const { remainingTokens } = sequence;
        const taken = state.progress.toMatch(tokenId);
        if (tokenId === undefined && state.first.remainingTokens === remainingTokens) {
          masks[row] = this.maskFor(state.first.mask, sequence, state.progress);
          continue;
        }
        state.asked = this.thread.step(sequence.id, taken, remainingTokens);
      }
      asked.push({ row, sequence, state });
    }
    this.thread.send();
    return { masks, resting: this.collect(asked, masks, rows) };
  }

  /** Collects the masks that are ready in time; returns the rows of the others. */
  private collect(
    asked: ReadonlyArray<ConstrainedRow>,
    masks: (Tensor | undefined)[],
    rows: Rows,
  ): ReadonlySet<number> {
    if (asked.length === 0) return none;
    const others = rows.some((sequence, row) => sequence !== undefined && !asked.some((each) => each.row === row));
    const isThere = ({ state }: ConstrainedRow): boolean =>
      state.asked !== undefined && this.thread.read(state.asked) !== undefined;
    this.thread.wait(() => asked.every(isThere), others || asked.length > 1 ? patienceMs : patienceAloneMs);
    const resting = new Set<number>();
    for (const { row, sequence, state } of asked) {
      const mask = state.asked && this.thread.read(state.asked);
      if (mask === undefined) {
        if (this.thread.hasGivenUp(sequence.id)) sequence.bound = "too-hard";
        resting.add(row);
        continue;
      }
      state.asked = undefined;
      masks[row] = this.maskFor(mask, sequence, state.progress);
    }
    return resting;
  }

  private maskFor(mask: Mask, sequence: Sequence, progress: ConstraintProgress): Tensor | undefined {
    const also = progress.mayOpen;
    const isOver = mask.state === "ended" || (mask.state === "fulfilled" && sequence.remainingTokens <= 0);
    if (isOver) sequence.bound = "fulfilled";
    else if (also === undefined || mask.state !== "broken") sequence.bound = unfit[mask.state];
    if (sequence.bound !== undefined) return undefined;
    const set = [...(mask.state === "fulfilled" ? sequence.stopIds : []), ...(also === undefined ? [] : [also])];
    const cleared = [...sequence.stopIds, ...(progress.allowsMarkers ? [] : this.vocabulary.markerTokenIds)];
    const key = `${mask.digest}/${cleared.join()}/${set.join()}`;
    const known = this.masks.get(key);
    const tensor = known ?? this.onDevice(mask.words, cleared, set);
    this.masks.delete(key);
    this.masks.set(key, tensor);
    return tensor;
  }

  /** Between two passes, so that no mask is freed that a row of the current pass still needs. */
  private forgetMasks(): void {
    for (const [key, mask] of this.masks) {
      if (this.masks.size <= maxMasks) break;
      this.masks.delete(key);
      mask.dispose();
    }
  }

  /** bool [1, vocabulary]: the bits of the words, with the first set of tokens cleared and then the second set. */
  private onDevice(words: Int32Array, cleared: Iterable<number>, set: Iterable<number>): Tensor {
    const own = Int32Array.from(words);
    for (const id of cleared) own[id >>> 5] = (own[id >>> 5] ?? 0) & ~(1 << (id & 31));
    for (const id of set) own[id >>> 5] = (own[id >>> 5] ?? 0) | (1 << (id & 31));
    // The binding passes numbers as float32, which represents integers of up to 24 bits, so words are split.
    const halves = Array.from(new Uint16Array(own.buffer));
    const shape = [halves.length, 16];
    // Both operands get the same shape: with implicit broadcasting these operations corrupt memory.
    const packed = mx.broadcastTo(mx.array(halves, mx.int32).reshape(halves.length, 1), shape);
    const places = mx.broadcastTo(mx.arange(0, 16, 1, mx.int32).reshape(1, 16), shape);
    const ones = mx.broadcastTo(mx.array([1], mx.int32).reshape(1, 1), shape);
    const bits = mx.bitwiseAnd(mx.rightShift(packed, places), ones).reshape(1, halves.length * 16);
    const bool = mx.greater(bits.index(mx.Slice(), mx.Slice(0, this.vocabularySize)), 0);
    mx.asyncEval(bool);
    return bool.keep();
  }

  private get everything(): Tensor {
    const key = "everything";
    const known = this.masks.get(key);
    if (known !== undefined) return known;
    const made = mx.greater(mx.full([1, this.vocabularySize], 1, mx.int32), 0).keep();
    this.masks.set(key, made);
    return made;
  }

  private get thread(): GrammarThread {
    this.started ??= new GrammarThread(
      this.vocabulary.pieces,
      this.vocabularySize,
      this.slots,
      this.limits,
      this.program,
    );
    return this.started;
  }
}

/** What a mask's state says about its row. */
const unfit: Readonly<Partial<Record<Mask["state"], Unfit>>> = {
  broken: "stuck",
  "too-hard": "too-hard",
  failed: "failed",
};

const none: ReadonlySet<number> = new Set();

/** A mask takes a byte for each token of the vocabulary. */
const maxMasks = 64;

/** The longest that a missing mask delays a step. Most masks are ready by the end of the forward pass. */
const patienceMs = 10;
/** The same if no other row would have to wait. */
const patienceAloneMs = 100;

const defaultLimits: GrammarLimits = { compileMs: 2000, maskMs: 100, hangMs: 60_000 };
