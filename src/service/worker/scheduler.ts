/**
 * Continuous batching: sequences join and leave the running batch at every step.
 *
 * A step first starts the next decode of the batch on the device, then one slice of prefill for sequences that wait, and
 * only then reads the tokens of the decode before: the device is never idle while this thread thinks, and it is waited
 * for once per step. A sequence that has ended is known one step later; what was computed for it by then is thrown away.
 */
import type { Model } from "./architectures/Model.ts";
import type { Constraints } from "./constraint.ts";
import { bytesOf, KVCache, snapshotBytes, withSlack } from "./kv-cache.ts";
import {
  logprobTensors,
  type PendingLogprobs,
  readLogprobs,
  readWanted,
  tensorsOf,
  wantedLogprobs,
} from "./logprobs.ts";
import { mx, type Tensor } from "./mlx.ts";
import { type Candidate, isEven, sharesWork, uncachedTokens } from "./prefill-group.ts";
import { type CachedPrefix, PrefixCache } from "./prefix-cache.ts";
import type { SequenceEvent, SubmitMessage, WorkerLimits } from "./protocol.ts";
import { force, settleReasoning } from "./reasoning-limit.ts";
import { adjustLogits, drawTokens } from "./sampling.ts";
import { Sequence } from "./sequence.ts";

/** Sequences that are computed together, in rows of one cache. */
interface Batch {
  readonly cache: KVCache;
  /** Undefined: the row is free. */
  rows: Array<Sequence | undefined>;
  /** int32 [rows]: chosen by the device, not yet fed. */
  next: Tensor;
  /** Of these, where they are wanted. */
  logprobs: ReadonlyArray<PendingLogprobs<Sequence>>;
}

type Chosen = Pick<Batch, "next" | "logprobs">;

/** Sequences whose prompts are being computed. */
interface Prefill {
  readonly cache: KVCache;
  readonly rows: Array<Sequence | undefined>;
  /** int32 [rows, columns], padded on the left. */
  readonly tokens: Tensor;
  readonly columns: number;
}

export class Scheduler {
  private readonly model: Model;
  private readonly limits: WorkerLimits;
  private readonly now: () => number;
  private readonly constraints: Constraints | undefined;
  private readonly prefixes: PrefixCache;
  private waiting: Sequence[] = [];
  private batch: Batch | undefined;
  private prefill: Prefill | undefined;
  private events: SequenceEvent[] = [];

  /**
   * @param now milliseconds of a monotonic clock
   * @param constraints those of sequences that have one, opened before the sequence is submitted
   */
  constructor(model: Model, limits: WorkerLimits, now: () => number, constraints?: Constraints) {
    this.model = model;
    this.limits = limits;
    this.now = now;
    this.constraints = constraints;
    this.prefixes = new PrefixCache(limits.prefixCacheBytes);
  }

  get idle(): boolean {
    return this.waiting.length === 0 && this.batch === undefined && this.prefill === undefined;
  }

  get kvCacheBytes(): number {
    return (this.batch?.cache.bytes ?? 0) + (this.prefill?.cache.bytes ?? 0);
  }

  get prefixCacheBytes(): number {
    return this.prefixes.bytes;
  }

  submit(request: SubmitMessage): void {
    const sequence = new Sequence(request, this.now());
    const neededBytes = bytesOf(this.model.cacheShape, 1, withSlack(sequence.maxTokens));
    if (neededBytes > this.limits.kvCacheBytes) {
      this.events.push({
        type: "refused",
        sequence: request.sequence,
        neededBytes,
        availableBytes: this.limits.kvCacheBytes,
      });
      return;
    }
    this.waiting.push(sequence);
  }

  cancel(id: number): void {
    for (const sequence of this.sequences()) if (sequence.id === id) sequence.cancelled = true;
  }

  /** Does one step; what happened since the last is told by `takeEvents`. Returns its work in decode steps. */
  step(): number {
    this.expire();
    const fed = this.decode();
    this.prefill ??= this.startPrefill();
    const debt = (fed === undefined ? 0 : 1) + (this.prefill === undefined ? 0 : prefillDebt);
    const prefilled = this.prefill && this.prefillSlice(this.prefill);
    if (fed !== undefined) this.read(fed);
    if (prefilled !== undefined) this.join(prefilled);
    this.compact();
    this.constraints?.keep(this.sequences());
    return debt;
  }

  takeEvents(): ReadonlyArray<SequenceEvent> {
    const { events } = this;
    this.events = [];
    return events;
  }

  private *sequences(): Iterable<Sequence> {
    yield* this.waiting;
    for (const sequence of this.prefill?.rows ?? []) if (sequence !== undefined) yield sequence;
    for (const sequence of this.batch?.rows ?? []) if (sequence !== undefined) yield sequence;
  }

  /** Drops what was cancelled and ends what ran out of its time budget. */
  private expire(): void {
    const now = this.now();
    const gone = (sequence: Sequence): boolean => {
      if (sequence.cancelled) return true;
      if (!sequence.expired(now)) return false;
      this.events.push({ type: "finished", sequence: sequence.id, reason: "time-budget" });
      return true;
    };
    this.waiting = this.waiting.filter((sequence) => !gone(sequence));
    for (const part of [this.prefill, this.batch]) {
      for (const [row, sequence] of part?.rows.entries() ?? []) {
        if (sequence !== undefined && gone(sequence)) this.free(part, row);
      }
    }
    if (this.prefill?.rows.every((sequence) => sequence === undefined) === true) this.prefill = undefined;
    this.compact();
  }

  /** Takes a sequence out of its row; what was computed of it is kept for those that begin alike. */
  private free(part: Batch | Prefill | undefined, row: number): void {
    const sequence = part?.rows[row];
    if (part === undefined || sequence === undefined) return;
    this.keep(part.cache, row, sequence);
    part.rows[row] = undefined;
    part.cache.release(row);
  }

  private keep(cache: KVCache, row: number, sequence: Sequence): void {
    const { write, partition, stablePrefixTokens = Infinity } = sequence.cache;
    const tokenIds = sequence.tokenIds.slice(0, Math.min(cache.length(row), stablePrefixTokens));
    const bytes = snapshotBytes(this.model.cacheShape, tokenIds.length);
    if (!write || !this.prefixes.wants(partition, tokenIds, bytes)) return;
    this.prefixes.put(partition, tokenIds, cache.snapshot(row, tokenIds.length));
  }

  /** Feeds the batch its tokens and starts choosing the next; returns those that were fed, for reading. */
  private decode(): Pick<Batch, "rows" | "next" | "logprobs"> | undefined {
    const { batch } = this;
    if (batch === undefined) return undefined;
    const fed = { rows: [...batch.rows], next: batch.next, logprobs: batch.logprobs };
    if (batch.rows.some((sequence) => sequence !== undefined && !sequence.exhausted)) {
      settleReasoning(batch);
      const hidden = this.model.forward(batch.next.reshape(batch.rows.length, 1), batch.cache);
      Object.assign(batch, this.choose(hidden, 0, batch.rows, batch.next));
    } else this.constraints?.settle(batch.next, batch.rows);
    return fed;
  }

  /** Starts choosing the token that follows column `column` of the hidden states. */
  private choose(
    hidden: Tensor,
    column: number,
    rows: ReadonlyArray<Sequence | undefined>,
    previous: Tensor | undefined,
  ): Chosen {
    const [count = 0, , size = 0] = hidden.shape;
    const last = hidden.index(mx.Slice(), mx.Slice(column, column + 1), mx.Slice()).reshape(count, size);
    const sampled = rows.map((sequence) => sequence ?? unused);
    const logits = adjustLogits(this.model.logits(last).astype(mx.float32), sampled, previous);
    const allowed = this.constraints?.apply(logits, previous, rows) ?? logits;
    const next = force(drawTokens(allowed, sampled), rows);
    const logprobs = wantedLogprobs(logits, next, rows);
    mx.asyncEval(next, ...logprobs.flatMap(({ tensors }) => tensorsOf(tensors)));
    for (const sequence of rows) if (sequence !== undefined) sequence.drawn += 1;
    return { next, logprobs };
  }

  /** Reads tokens that the device has chosen and tells what follows from them. */
  private read({ rows, next, logprobs }: Pick<Batch, "rows" | "next" | "logprobs">): void {
    const ids = next.tolist() as number[];
    const logprobsOf = readWanted(logprobs);
    for (const [row, sequence] of rows.entries()) {
      const tokenId = ids[row];
      if (sequence === undefined || tokenId === undefined || sequence.cancelled) continue;
      if (sequence.bound === "stuck") {
        this.events.push({ type: "unconstrainable", sequence: sequence.id, reason: stuck });
        this.free(this.batch, row);
        continue;
      }
      const end = sequence.accept(tokenId);
      const own = logprobsOf.get(sequence);
      this.events.push({ type: "token", sequence: sequence.id, tokenId, ...(own !== undefined && { logprobs: own }) });
      if (end === undefined) continue;
      this.events.push({ type: "finished", sequence: sequence.id, reason: end });
      this.free(this.batch, row);
    }
  }

  /** Computes one slice; with the last one the sequences are ready to join the batch. */
  private prefillSlice(prefill: Prefill): Batch | undefined {
    const rows = prefill.rows.length;
    const done = prefill.cache.end;
    // While streams run, a slice is kept short so that they go on; alone, it may be as large as is efficient.
    const tokens = this.batch === undefined ? soloPrefillTokens : this.limits.prefillSliceTokens;
    const scored = prefill.rows.find((sequence) => sequence?.promptLogprobs === true);
    const most = scored === undefined ? tokens : Math.min(tokens, maxScoredLogits / this.model.vocabularySize);
    const width = Math.max(1, Math.min(prefill.columns - done, Math.floor(most / rows)));
    const slice = prefill.tokens.index(mx.Slice(), mx.Slice(done, done + width));
    const hidden = this.model.forward(slice, prefill.cache);
    if (scored !== undefined) this.scorePrompt(scored, hidden, done);
    if (prefill.cache.end < prefill.columns) {
      mx.asyncEval(...prefill.cache.arrays);
      return undefined;
    }
    const chosen = this.choose(hidden, width - 1, prefill.rows, undefined);
    this.keepForWaiting(prefill);
    this.prefill = undefined;
    return { cache: prefill.cache, rows: prefill.rows, ...chosen };
  }

  /** Tells how likely the prompt's tokens after each of this slice's were; of the slice alone, as it takes memory. */
  private scorePrompt({ id, promptTokenIds, topLogprobs }: Sequence, hidden: Tensor, done: number): void {
    const [, width = 0, size = 0] = hidden.shape;
    const following = promptTokenIds.slice(done + 1, done + 1 + width);
    if (following.length === 0) return;
    const states = hidden.index(mx.Slice(), mx.Slice(0, following.length), mx.Slice()).reshape(following.length, size);
    const logits = this.model.logits(states).astype(mx.float32);
    const logprobs = readLogprobs(logprobTensors(logits, mx.array(following, mx.int32), topLogprobs ?? 0));
    this.events.push({ type: "prompt", sequence: id, logprobs });
  }

  /** A prompt that others in the queue begin with is kept at once: they have waited for it. */
  private keepForWaiting({ cache, rows }: Prefill): void {
    for (const [row, sequence] of rows.entries()) {
      if (sequence !== undefined && this.waiting.some((other) => sharesWork(sequence, other, 0))) {
        this.keep(cache, row, sequence);
      }
    }
  }

  /** Takes from the queue what can be computed together, in order. */
  private startPrefill(): Prefill | undefined {
    const group = this.takeGroup();
    if (group.length === 0) return undefined;
    const lengths = group.map(({ sequence }) => sequence.promptTokenIds.length);
    const remaining = Math.max(...group.map(uncachedTokens));
    const columns = Math.max(...lengths);
    const spare = Math.min(spareColumns, Math.max(...group.map(({ sequence }) => sequence.remainingTokens)));
    const cache = new KVCache(this.model.cacheShape, lengths, spare, remaining);
    const padded = group.map(({ sequence: { promptTokenIds } }) => [
      ...Array.from({ length: columns - promptTokenIds.length }, () => 0),
      ...promptTokenIds,
    ]);
    for (const [row, { sequence, prefix }] of group.entries()) {
      // All rows compute the same columns, so the one with the least cached decides for the others.
      const cachedPromptTokens = Math.max(0, sequence.promptTokenIds.length - remaining);
      if (prefix !== undefined && cachedPromptTokens > 0) cache.load(row, prefix.snapshot);
      this.events.push({ type: "admitted", sequence: sequence.id, cachedPromptTokens });
    }
    const rows = group.map(({ sequence }) => sequence);
    return { cache, rows, tokens: mx.array(padded, mx.int32), columns };
  }

  private takeGroup(): Candidate[] {
    const running = this.batch?.rows.filter((sequence) => sequence !== undefined) ?? [];
    const group: Candidate[] = [];
    for (const sequence of this.waiting) {
      if (running.length + group.length === this.limits.maxBatch) break;
      const candidate = { sequence, prefix: this.cachedPrefix(sequence) };
      const next = [...group, candidate];
      if (!isEven(next) || (next.length > 1 && next.some((each) => each.sequence.promptLogprobs))) break;
      // One computes the common beginning, the others wait for it.
      if (group.some((first) => sharesWork(first.sequence, sequence, candidate.prefix?.tokens ?? 0))) break;
      const alone = running.length === 0 && group.length === 0;
      const sequences = next.map((each) => each.sequence);
      if (!alone && this.projectedBytes(running, sequences) > this.limits.kvCacheBytes) break;
      group.push(candidate);
    }
    this.waiting.splice(0, group.length);
    return group;
  }

  /** At least one token of a prompt is computed: its logits are needed. */
  private cachedPrefix({ promptTokenIds, promptLogprobs, cache }: Sequence): CachedPrefix | undefined {
    // Every logit of a prompt that is to be scored is needed, and they are not kept.
    if (!cache.read || promptLogprobs) return undefined;
    return this.prefixes.find(cache.partition, promptTokenIds.slice(0, -1));
  }

  /** What the caches will come to, if these are computed and join those that run. */
  private projectedBytes(running: ReadonlyArray<Sequence>, group: ReadonlyArray<Sequence>): number {
    const prompt = Math.max(...group.map(({ promptTokenIds }) => promptTokenIds.length));
    const remaining = Math.max(...[...running, ...group].map(({ remainingTokens }) => remainingTokens));
    // The batch goes on by a column with each slice of the prefill.
    const slices = Math.ceil((prompt * group.length) / this.limits.prefillSliceTokens);
    const columns = Math.max((this.batch?.cache.end ?? 0) + slices, prompt) + remaining;
    const rows = Math.max(this.batch?.rows.length ?? 0, running.length + group.length);
    const shape = this.model.cacheShape;
    const apart = this.batch === undefined ? 0 : bytesOf(shape, group.length, prompt + spareColumns);
    return bytesOf(shape, rows, withSlack(columns)) + apart;
  }

  /** Moves sequences whose prompt is computed into the batch. */
  private join(prefilled: Batch): void {
    if (this.batch === undefined || this.batch.rows.every((sequence) => sequence === undefined)) {
      this.batch = prefilled;
      return;
    }
    const { batch } = this;
    const joining = [...prefilled.rows.entries()].filter(([, sequence]) => sequence !== undefined);
    const free = [...batch.rows.entries()].flatMap(([row, sequence]) => (sequence === undefined ? [row] : []));
    const missing = joining.length - free.length;
    if (missing > 0) {
      batch.cache.addRows(missing);
      for (let i = 0; i < missing; i++) free.push(batch.rows.push(undefined) - 1);
    }
    // Row of each new token among [old ones, new ones], for one gather.
    const origin = [...batch.rows.keys()].map((row) => Math.min(row, batch.next.size - 1));
    for (const [sourceRow, sequence] of joining) {
      const row = free.shift();
      if (row === undefined) throw new RangeError("no free row for a prefilled sequence");
      batch.cache.insert(row, prefilled.cache, sourceRow);
      batch.rows[row] = sequence;
      origin[row] = batch.next.size + sourceRow;
    }
    batch.logprobs = [...batch.logprobs, ...prefilled.logprobs];
    batch.next = mx.take(mx.concatenate([batch.next, prefilled.next], 0), mx.array(origin, mx.int32), 0);
    mx.asyncEval(batch.next);
  }

  /** Ends an empty batch and shrinks one that is mostly free rows, unless others are about to join. */
  private compact(): void {
    const { batch } = this;
    if (batch === undefined) return;
    const live = [...batch.rows.entries()].flatMap(([row, sequence]) => (sequence === undefined ? [] : [row]));
    if (live.length === 0) {
      this.batch = undefined;
      return;
    }
    const coming = this.waiting.length + (this.prefill?.rows.length ?? 0);
    if (live.length + coming > batch.rows.length / 2) return;
    batch.cache.select(live);
    batch.next = mx.take(batch.next, mx.array(live, mx.int32), 0);
    batch.rows = live.map((row) => batch.rows[row]);
  }
}

/** Collections are due by memory touched: a slice of prefill leaves much more behind than a decode step. */
const prefillDebt = 4;
const soloPrefillTokens = 1024;

/** Logits of a prompt that are looked at together: 16 MiB of them, of which several copies live until a collection. */
const maxScoredLogits = 2 ** 22;

/** Columns that a prefill's cache has beyond its prompts: the first output tokens need no growth. */
const spareColumns = 64;

const stuck = "no token of the model's vocabulary goes on with what was written";

/** What free rows are sampled with: greedily, and never read. */
const unused = {
  sampling: {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: [],
    seed: 0,
  },
  drawn: 0,
  promptTokenIds: [],
  outputTokenIds: [],
  forbidden: [],
};
