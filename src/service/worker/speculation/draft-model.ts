/**
 * Drafts from a second, smaller model with the same vocabulary: Leviathan et al. 2023 (arXiv:2211.17192).
 *
 * It has a cache of its own with a row for each sequence that it drafts for. A new row, and one that has fallen behind,
 * is computed slice by slice while the sequence is decoded without drafts. After that the row keeps up: each proposal
 * first feeds the sequence's new tokens, and rejected tokens are taken back before the next one.
 */
import type { Model } from "../architectures/Model.ts";
import { bytesOf, withSlack } from "../cache/cache-size.ts";
import { KVCache } from "../cache/kv-cache.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { Drafts } from "./verification.ts";

export interface DraftModelLimits {
  /** Bytes of its own KV cache. */
  readonly kvCacheBytes: number;
  /** How many tokens are computed in one step for rows that are still catching up. */
  readonly sliceTokens: number;
  /** The vocabulary size of the main model: larger ids, which are padding, are never drafted. */
  readonly vocabularySize: number;
}

interface Row {
  readonly sequence: Sequence;
  /** How many tokens of the sequence the cache holds. */
  fed: number;
  /** The tokens proposed after these; all but the last are in the cache, too. */
  proposed: ReadonlyArray<number>;
}

/** How often its tokens were right and wrong; older results count less. */
interface TrackRecord {
  right: number;
  wrong: number;
}

/** A row that is catching up. */
interface CatchingUp {
  readonly sequence: Sequence;
  readonly cache: KVCache;
  readonly tokens: ReadonlyArray<number>;
}

export class DraftModel {
  private readonly model: Model;
  private readonly limits: DraftModelLimits;
  private readonly records = new WeakMap<Sequence, TrackRecord>();
  private cache: KVCache | undefined;
  private rows: Array<Row | undefined> = [];
  private catchingUp: CatchingUp | undefined;
  /** How many of the cache's last columns hold proposals. */
  private proposedColumns = 0;

  constructor(model: Model, limits: DraftModelLimits) {
    this.model = model;
    this.limits = limits;
  }

  get kvCacheBytes(): number {
    return (this.cache?.bytes ?? 0) + (this.catchingUp?.cache.bytes ?? 0);
  }

  /** The tensors that later steps need. */
  get tensors(): ReadonlyArray<Tensor> {
    return [...(this.cache?.tensors ?? []), ...(this.catchingUp?.cache.tensors ?? [])];
  }

  /** Evaluates the last proposals, and drops all sequences except these. */
  retain(sequences: ReadonlySet<Sequence>): void {
    if (this.catchingUp !== undefined && !sequences.has(this.catchingUp.sequence)) this.catchingUp = undefined;
    const { cache } = this;
    if (cache === undefined) return;
    const kept = this.rows.map((row) => (row === undefined ? undefined : this.agree(row)));
    if (this.proposedColumns > 0) cache.retract(this.proposedColumns, kept);
    this.proposedColumns = 0;
    for (const [index, row] of this.rows.entries()) {
      if (row === undefined || sequences.has(row.sequence)) continue;
      this.rows[index] = undefined;
      cache.release(index);
    }
    this.shrink(cache);
  }

  /** Whether it can draft for the sequence now. */
  isInStep(sequence: Sequence): boolean {
    const row = this.rows.find((each) => each?.sequence === sequence);
    if (row === undefined) return false;
    return lengthOf(sequence) - row.fed <= (this.rows.length === 1 ? this.limits.sliceTokens : mostBehind);
  }

  /** The estimated probability that the next token it drafts is right. */
  chance(sequence: Sequence): number {
    const { right, wrong } = this.records.get(sequence) ?? { right: 0, wrong: 0 };
    return (right + 2) / (right + wrong + 3);
  }

  /** What is known about a sequence fades while it is not drafted for, so that it is tried again some time. */
  fade(sequence: Sequence): void {
    const record = this.records.get(sequence);
    if (record === undefined) return;
    record.right *= fading;
    record.wrong *= fading;
  }

  /**
   * Starts computing a slice for one of these sequences that is not up to date, without waiting for it. Requires that
   * the last proposals were evaluated.
   *
   * @returns false if there is nothing to compute, or no room for it
   */
  advance(sequences: Iterable<Sequence>): boolean {
    this.catchingUp ??= this.begin(sequences);
    const { catchingUp } = this;
    if (catchingUp === undefined) return false;
    const done = catchingUp.cache.end;
    const slice = catchingUp.tokens.slice(done, done + this.limits.sliceTokens);
    this.model.forward(this.toTensor([slice]), catchingUp.cache);
    mx.asyncEval(...catchingUp.cache.arrays);
    if (catchingUp.cache.end === catchingUp.tokens.length) {
      this.catchingUp = undefined;
      this.admit(catchingUp);
    }
    return true;
  }

  /**
   * Drafts for each of these rows that is up to date, and waits for the result. Requires that the last proposals were
   * evaluated and the tokens of all rows read.
   *
   * @param most tokens per draft
   */
  propose(wanted: ReadonlyArray<Sequence | undefined>, most: number): Drafts {
    const { cache } = this;
    const none = wanted.map(() => []);
    if (cache === undefined || most === 0) return none;
    const behind = this.rows.map((row) => (row !== undefined && this.isInStep(row.sequence) ? tokensAfter(row) : []));
    const width = Math.max(...behind.map((tokens) => tokens.length));
    if (width === 0 || !this.hasRoom(this.rows.length, cache.end + width + most)) return none;
    const first = this.feed(cache, behind, width);
    const proposals = [first];
    for (let place = 1; place < most; place++) {
      const hidden = this.model.forward((proposals.at(-1) ?? first).reshape(this.rows.length, 1), cache);
      proposals.push(this.choose(hidden, 1, this.rows.keys().toArray()));
    }
    this.proposedColumns = most - 1;
    const ids = mx.stack(proposals, 1).tolist() as number[][];
    for (const [index, row] of this.rows.entries()) {
      if (row === undefined) continue;
      row.fed += behind[index]?.length ?? 0;
      row.proposed = behind[index]?.length === 0 ? [] : (ids[index] ?? []);
    }
    return wanted.map((sequence) => {
      const row = this.rows.find((each) => each !== undefined && each.sequence === sequence);
      const proposed = row?.proposed ?? [];
      const end = proposed.findIndex((id) => id >= this.limits.vocabularySize);
      return end < 0 ? proposed : proposed.slice(0, end);
    });
  }

  /** Feeds each row its tokens, up to `width`; returns the token that follows, int32 [rows]. */
  private feed(cache: KVCache, tokens: ReadonlyArray<ReadonlyArray<number>>, width: number): Tensor {
    const padded = tokens.map((own) => [...own, ...Array.from({ length: width - own.length }, () => 0)]);
    const hidden = this.model.forward(this.toTensor(padded), cache);
    cache.retract(
      width,
      tokens.map((own, index) => (this.rows[index] === undefined ? undefined : own.length)),
    );
    return this.choose(
      hidden,
      width,
      tokens.map((own, index) => index * width + Math.max(0, own.length - 1)),
    );
  }

  /** Ids that the draft model does not have, which are padding, become some other token. */
  private toTensor(tokens: ReadonlyArray<ReadonlyArray<number>>): Tensor {
    const { vocabularySize } = this.model;
    return mx.array(
      tokens.map((own) => own.map((id) => (id < vocabularySize ? id : 0))),
      mx.int32,
    );
  }

  /** The most likely tokens after these hidden states of the rows, int32. */
  private choose(hidden: Tensor, width: number, states: ReadonlyArray<number>): Tensor {
    const [rows = 0, , size = 0] = hidden.shape;
    const picked = mx.take(hidden.reshape(rows * width, size), mx.array([...states], mx.int32), 0);
    return mx.argmax(this.model.logits(picked), -1).astype(mx.int32);
  }

  /** How many of the proposals in the cache were right. */
  private agree(row: Row): number {
    const came = row.proposed.map((id, index) => {
      const token = tokenAt(row.sequence, row.fed + index);
      return token === undefined ? undefined : token === id;
    });
    const wrong = came.findIndex((each) => each !== true);
    const right = wrong < 0 ? came.length : wrong;
    const record = this.records.get(row.sequence) ?? { right: 0, wrong: 0 };
    this.records.set(row.sequence, record);
    const faded = memory ** right;
    record.right = record.right * faded + right;
    record.wrong = record.wrong * faded + (came[right] === false ? 1 : 0);
    const kept = Math.min(right, this.proposedColumns);
    row.fed += kept;
    row.proposed = [];
    return kept;
  }

  /** The next sequence that has no row, or whose row has fallen behind; it is computed in a cache of its own. */
  private begin(sequences: Iterable<Sequence>): CatchingUp | undefined {
    for (const sequence of sequences) {
      if (this.isInStep(sequence) || sequence.draftRoom < leastRoom) continue;
      // Without the last token, which a draft starts from.
      const tokens = [...sequence.promptTokenIds, ...sequence.outputTokenIds].slice(0, -1);
      if (tokens.length === 0) continue;
      const columns = Math.max(tokens.length + spareColumns, this.cache?.capacity ?? 0);
      if (!this.hasRoom(this.rows.length + 2, columns)) continue;
      const index = this.rows.findIndex((row) => row?.sequence === sequence);
      const row = this.rows[index];
      if (row === undefined || this.cache === undefined) {
        return { sequence, tokens, cache: new KVCache(this.model.cacheShape, [tokens.length], spareColumns) };
      }
      const cache = new KVCache(this.model.cacheShape, [tokens.length], spareColumns, tokens.length - row.fed);
      cache.load(0, [{ snapshot: this.cache.snapshot(index, 0, row.fed), tokens: row.fed }]);
      this.rows[index] = undefined;
      this.cache.release(index);
      return { sequence, tokens, cache };
    }
    return undefined;
  }

  private admit({ sequence, cache, tokens }: CatchingUp): void {
    const row: Row = { sequence, fed: tokens.length, proposed: [] };
    if (this.cache === undefined || this.rows.every((each) => each === undefined)) {
      this.cache = cache;
      this.rows = [row];
      return;
    }
    let index = this.rows.indexOf(undefined);
    if (index < 0) {
      this.cache.addRows(1);
      index = this.rows.length;
    }
    this.cache.insert(index, cache, 0);
    this.rows[index] = row;
  }

  /** Drops an empty cache, and shrinks one that consists mostly of free rows. */
  private shrink(cache: KVCache): void {
    const live = [...this.rows.entries()].flatMap(([index, row]) => (row === undefined ? [] : [index]));
    if (live.length === 0) {
      this.cache = undefined;
      this.rows = [];
    } else if (live.length <= this.rows.length / 2) {
      cache.select(live);
      this.rows = live.map((index) => this.rows[index]);
    }
  }

  private hasRoom(rows: number, columns: number): boolean {
    const apart = this.catchingUp?.cache.bytes ?? 0;
    return bytesOf(this.model.cacheShape, rows, withSlack(columns)) + apart <= this.limits.kvCacheBytes;
  }
}

const lengthOf = ({ promptTokenIds, outputTokenIds }: Sequence): number =>
  promptTokenIds.length + outputTokenIds.length;

const tokenAt = ({ promptTokenIds, outputTokenIds }: Sequence, index: number): number | undefined =>
  index < promptTokenIds.length ? promptTokenIds[index] : outputTokenIds[index - promptTokenIds.length];

/** The sequence's new tokens. There is at least one, because a chosen token follows every proposal. */
const tokensAfter = ({ sequence, fed }: Row): ReadonlyArray<number> =>
  Array.from({ length: lengthOf(sequence) - fed }, (_, index) => tokenAt(sequence, fed + index) ?? 0);

/** A row that lacks more tokens catches up separately, because all rows are fed the same number of columns. */
const mostBehind = 16;

/** A shorter remaining output is not worth computing the prompt again. */
const leastRoom = 4;

/** Columns that a new cache has beyond its tokens. */
const spareColumns = 64;

/** How much of what is known about a sequence remains after one more token, and after a step without a draft. */
const memory = 0.95;
const fading = 0.99;
