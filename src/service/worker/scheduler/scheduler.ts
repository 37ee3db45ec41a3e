/**
 * Continuous batching: sequences join and leave the running batch at every step.
 *
 * A step first starts the next decode of the batch on the device, then one slice of prefill for sequences that wait, and
 * only then reads the tokens of the decode before: the device is never idle while this thread thinks, and it is waited
 * for once per step. A sequence that has ended is known one step later; what was computed for it by then is thrown away.
 *
 * Where drafts are likely to pay, the tokens are read first, and the step verifies drafts instead (speculation/): what it
 * chooses is read in the same step.
 */
import { AdapterLoads } from "../adapters/adapter-loads.ts";
import type { Model } from "../architectures/Model.ts";
import { type Batch, type Chosen, joinBatch, rowsInUse, shrinkBatch, unreadRows } from "./batch.ts";
import type { Constraints } from "../constraints/constraints.ts";
import { EmbeddingPool } from "./embedding-pool.ts";
import { bytesOf, snapshotBytes, withSlack } from "../cache/cache-size.ts";
import { KVCache } from "../cache/kv-cache.ts";
import {
  logprobTensors,
  type PendingLogprobs,
  readLogprobs,
  readWanted,
  tensorsOf,
  wantedLogprobs,
} from "../sampling/logprobs.ts";
import { device, mx, type Tensor } from "../mlx.ts";
import { type Candidate, goTogether, sharesWork, uncachedTokens } from "./prefill-group.ts";
import { type CachedPrefix, PrefixCache } from "../cache/prefix-cache.ts";
import type { SequenceEvent, SubmitMessage, TokenLogprobs, WorkerLimits } from "../protocol.ts";
import { force, settleReasoning } from "../sequence/reasoning-limit.ts";
import { adjustLogits, drawTokens } from "../sampling/sampling.ts";
import { Sequence, type Unfit } from "../sequence/sequence.ts";
import { mostTokensAtOnce, SlicePace } from "./slice-pace.ts";
import type { DraftedPlace } from "../speculation/drafted-place.ts";
import type { DraftPlan, Speculator } from "../speculation/speculator.ts";
import { type Drafts, layOut, readVerified, type Verification } from "../speculation/verification.ts";
import { WaitingQueue } from "./waiting-queue.ts";

/** Drafts whose verification the device has begun. */
interface Verifying {
  readonly batch: Batch;
  readonly plan: DraftPlan;
  readonly drafts: Drafts;
  readonly verification: Verification;
  /** For each of its places. */
  readonly chosen: Tensor;
  readonly logprobs: ReadonlyArray<PendingLogprobs<Sequence | DraftedPlace>>;
  /** Milliseconds: when the tokens before had been read. */
  readonly since: number;
}

/** Sequences whose prompts are being computed. */
interface Prefill {
  readonly cache: KVCache;
  readonly rows: Array<Sequence | undefined>;
  /** int32 [rows, columns], padded on the left. */
  readonly tokens: Tensor;
  readonly columns: number;
  /** Slices that were begun. */
  slices: number;
  /** What follows, once the last slice was begun. */
  chosen: Chosen | undefined;
  /** A step has passed since. */
  rested: boolean;
  /** Of sequences that are there for their vectors: these never join the batch. */
  readonly pool: EmbeddingPool | undefined;
}

interface SchedulerCompanions {
  /** Undefined: nothing is drafted. */
  readonly speculator?: Speculator | undefined;
  /** Those of sequences that have one, opened before the sequence is submitted. */
  readonly constraints?: Constraints;
}

export class Scheduler {
  private readonly model: Model;
  private readonly limits: WorkerLimits;
  private readonly now: () => number;
  private readonly constraints: Constraints | undefined;
  private readonly prefixes: PrefixCache;
  private readonly adapterLoads: AdapterLoads;
  private readonly pace: SlicePace;
  private readonly speculator: Speculator | undefined;
  private readonly waiting = new WaitingQueue();
  private batch: Batch | undefined;
  private prefill: Prefill | undefined;
  private events: SequenceEvent[] = [];

  /**
   * @param now milliseconds of a monotonic clock
   * @param companions what some sequences need beside the model
   */
  constructor(
    model: Model,
    limits: WorkerLimits,
    now: () => number,
    { constraints, speculator }: SchedulerCompanions = {},
  ) {
    this.model = model;
    this.limits = limits;
    this.now = now;
    this.constraints = constraints;
    this.prefixes = new PrefixCache(limits.prefixCacheBytes, snapshotBytes(model.cacheShape, 1));
    this.adapterLoads = new AdapterLoads(model.adapters, limits.maxAdapters, now);
    this.speculator = speculator;
    this.pace = new SlicePace(limits.prefillSliceTokens);
  }

  /** Whether there is nothing to compute and nothing to tell. */
  get idle(): boolean {
    const { waiting, batch, prefill, adapterLoads, events } = this;
    const works = waiting.length > 0 || batch !== undefined || prefill !== undefined || !adapterLoads.idle;
    return !works && events.length === 0;
  }

  get kvCacheBytes(): number {
    return (this.batch?.cache.bytes ?? 0) + (this.prefill?.cache.bytes ?? 0) + (this.speculator?.kvCacheBytes ?? 0);
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
    if (this.adapterLoads.enter(sequence)) this.waiting.add(sequence);
  }

  cancel(id: number): void {
    for (const sequence of this.sequences()) if (sequence.id === id) sequence.cancelled = true;
  }

  /** Does one step; what happened since the last is told by `takeEvents`. Returns its work in decode steps. */
  step(): number {
    const begun = this.now();
    this.speculator?.begin(begun);
    this.expire();
    this.joinRested();
    const loading = this.loadAdapters();
    const verifying = this.verify();
    const fed = verifying === undefined ? this.decode() : undefined;
    this.prefill ??= this.startPrefill();
    const decoding = (fed === undefined ? 0 : 1) + (verifying === undefined ? 0 : 2);
    const debt = loading + decoding + (this.prefill === undefined ? 0 : prefillDebt);
    if (this.prefill === undefined) this.time(begun, fed, verifying);
    const sliceTokens = this.prefill === undefined ? 0 : this.prefillSlice(this.prefill);
    if (verifying !== undefined) this.settle(verifying);
    if (fed !== undefined) this.read(fed);
    if (this.prefill?.chosen !== undefined && !this.mayRest(this.prefill)) this.join(this.prefill, this.prefill.chosen);
    this.pace.step(this.now(), fed === undefined ? 0 : sliceTokens);
    this.compact();
    this.constraints?.keep(this.sequences());
    if (this.batch === undefined) {
      this.speculator?.time(undefined);
      this.speculator?.prepare([]);
    }
    return debt;
  }

  /** Steps that did nothing else tell what decoding costs, plain ones if they have waited for one before. */
  private time(begun: number, fed: Pick<Batch, "rows"> | undefined, verifying: Verifying | undefined): void {
    if (verifying !== undefined) {
      const { batch, plan, verification, since } = verifying;
      this.speculator?.time({ rows: batch.rows.length, width: verification.width, source: plan.source, since });
    } else if (fed?.rows.some((sequence) => sequence !== undefined) === true) {
      this.speculator?.time({ rows: fed.rows.length, width: 1, since: begun });
    }
  }

  takeEvents(): ReadonlyArray<SequenceEvent> {
    const { events } = this;
    this.events = [];
    return events;
  }

  private *sequences(): Iterable<Sequence> {
    yield* this.adapterLoads.sequences;
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
    this.adapterLoads.drop(gone);
    this.waiting.drop(gone);
    for (const part of [this.prefill, this.batch]) {
      for (const [row, sequence] of part?.rows.entries() ?? []) {
        if (sequence !== undefined && gone(sequence)) this.free(part, row);
      }
    }
    if (this.prefill?.rows.every((sequence) => sequence === undefined) === true) this.prefill = undefined;
    this.compact();
  }

  /** Lets those go on whose adapter is there by now. Returns its work in decode steps. */
  private loadAdapters(): number {
    if (this.adapterLoads.idle) return 0;
    const { ready, failed } = this.adapterLoads.advance(() => this.sequences());
    if (this.adapterLoads.isLoading) {
      for (const { id } of this.adapterLoads.sequences) this.events.push({ type: "progress", sequence: id });
    }
    this.waiting.add(...ready);
    for (const { sequence, reason } of failed) {
      this.events.push({ type: "adapter-failed", sequence: sequence.id, reason });
    }
    return loadDebt;
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
    if (!write) return;
    this.prefixes.keep(partition, tokenIds, (from) => cache.snapshot(row, from, tokenIds.length));
  }

  /** Feeds the batch its tokens and starts choosing the next; returns those that were fed, for reading. */
  private decode(): Pick<Batch, "rows" | "next" | "logprobs"> | undefined {
    const { batch } = this;
    if (batch === undefined) return undefined;
    const fed = { rows: unreadRows(batch), next: batch.next, logprobs: batch.logprobs };
    let resting: ReadonlySet<number> = new Set();
    if (batch.rows.some((sequence) => sequence !== undefined && !sequence.exhausted)) {
      settleReasoning(batch);
      this.useAdapters(batch.rows);
      const hidden = this.model.forward(batch.next.reshape(batch.rows.length, 1), batch.cache);
      const chosen = this.choose(hidden, 0, batch.rows, batch.next);
      Object.assign(batch, { next: chosen.next, logprobs: chosen.logprobs });
      resting = chosen.resting;
      if (resting.size > 0) batch.cache.retract(1, keptOf(batch.rows, resting));
    } else resting = this.constraints?.settle(batch.next, batch.rows) ?? resting;
    this.dropUnfit(batch, fed);
    for (const row of resting) {
      // Whether its last token ends the output is not known yet: it is read when it is.
      const sequence = fed.rows[row];
      if (sequence === undefined) continue;
      fed.rows[row] = undefined;
      batch.logprobs = [...batch.logprobs, ...fed.logprobs.filter(({ owners }) => owners.includes(sequence))];
    }
    return fed;
  }

  /** Ends those that cannot be held to their constraints any longer, and no others. */
  private dropUnfit(batch: Batch, fed: { readonly rows: (Sequence | undefined)[] }): void {
    for (const [row, sequence] of batch.rows.entries()) {
      const bound = sequence?.bound;
      if (sequence === undefined || bound === undefined || bound === "fulfilled" || sequence.cancelled) continue;
      this.events.push({ type: "unconstrainable", sequence: sequence.id, reason: unfitReasons[bound] });
      this.free(batch, row);
      fed.rows[row] = undefined;
    }
  }

  /** Before each forward pass over these rows; their logits are computed with the same. */
  private useAdapters(rows: ReadonlyArray<Sequence | DraftedPlace | undefined>): void {
    this.model.adapters.use(rows.map((sequence) => sequence?.adapterSlot ?? 0));
  }

  /** Starts choosing the token that follows column `column` of the hidden states. */
  private choose(
    hidden: Tensor,
    column: number,
    rows: ReadonlyArray<Sequence | undefined>,
    previous: Tensor | undefined,
  ): Chosen & { readonly resting: ReadonlySet<number> } {
    const [count = 0, , size = 0] = hidden.shape;
    const last = hidden.index(mx.Slice(), mx.Slice(column, column + 1), mx.Slice()).reshape(count, size);
    const chosen = this.chooseFrom(last, rows, rows, previous);
    for (const [row, sequence] of rows.entries()) {
      if (sequence !== undefined && !chosen.resting.has(row)) sequence.drawn += 1;
    }
    return chosen;
  }

  /**
   * Starts choosing a token from each hidden state.
   *
   * @param hidden [places, hiddenSize]
   * @param places what each is chosen with; undefined: it is never read
   * @param turns of these the sequences whose turn it is, to which tokens may be forced
   * @returns and the rows that rest: what is next of them is what it was
   */
  private chooseFrom<Place extends Sequence | DraftedPlace>(
    hidden: Tensor,
    places: ReadonlyArray<Place | undefined>,
    turns: ReadonlyArray<Sequence | undefined>,
    previous: Tensor | undefined,
  ): {
    readonly next: Tensor;
    readonly logprobs: ReadonlyArray<PendingLogprobs<Place>>;
    readonly resting: ReadonlySet<number>;
  } {
    const sampled = places.map((place) => place ?? unused);
    const logits = adjustLogits(this.model.logits(hidden).astype(mx.float32), sampled, previous);
    const allowed = this.constraints?.apply(logits, previous, turns) ?? { logits, resting: new Set<number>() };
    const { resting } = allowed;
    const awake = <Row>(rows: ReadonlyArray<Row>): ReadonlyArray<Row | undefined> =>
      resting.size === 0 ? rows : rows.map((each, row) => (resting.has(row) ? undefined : each));
    const forced = force(drawTokens(allowed.logits, sampled), awake(turns));
    const isResting = (): Tensor => mx.array(places.map((_, row) => resting.has(row)));
    const next = resting.size === 0 || previous === undefined ? forced : mx.where(isResting(), previous, forced);
    const logprobs = wantedLogprobs(logits, next, awake(places));
    mx.asyncEval(next, ...logprobs.flatMap(({ tensors }) => tensorsOf(tensors)));
    return { next, logprobs, resting };
  }

  /** Starts computing drafts beside the batch's tokens, where that is likely to pay. Reads its tokens before. */
  private verify(): Verifying | undefined {
    const { batch, speculator } = this;
    // What may follow a draft's tokens is not known ahead.
    if (batch !== undefined && this.constraints?.concerns(batch.rows) === true) return undefined;
    speculator?.prepare(batch?.rows ?? []);
    const plan = batch && speculator?.plan(batch.rows);
    if (batch === undefined || speculator === undefined || plan === undefined) return undefined;
    if (!this.hasRoomFor(batch, plan.tokens + 1)) return undefined;
    this.read({ rows: unreadRows(batch), next: batch.next, logprobs: batch.logprobs });
    batch.logprobs = [];
    const since = this.now();
    const drafts = speculator.draft(batch.rows, plan);
    if (drafts.every((draft) => draft.length === 0)) return undefined;
    const verification = layOut(batch.rows, drafts);
    this.useAdapters(batch.rows);
    const hidden = this.model.forward(verification.tokens, batch.cache);
    const { places, states, width } = verification;
    const [, , size = 0] = hidden.shape;
    const picked = mx.take(hidden.reshape(batch.rows.length * width, size), states, 0);
    this.useAdapters(places);
    const turns = places.map((place) => (place instanceof Sequence ? place : undefined));
    const { next: chosen, logprobs } = this.chooseFrom(picked, places, turns, undefined);
    return { batch, plan, drafts, verification, chosen, logprobs, since };
  }

  /** Reads what a verification has chosen: the drafts as far as they are right, and one token more. */
  private settle({ batch, drafts, verification, chosen, logprobs }: Verifying): void {
    const verified = readVerified(batch.rows, drafts, verification, chosen.tolist() as number[]);
    const logprobsOf = readWanted(logprobs);
    const kept = batch.rows.map((): number | undefined => undefined);
    for (const { row, tokens } of verified) kept[row] = tokens.length;
    batch.cache.retract(verification.width, kept);
    for (const { row, sequence, tokens } of verified) {
      const drafted = drafts[row]?.length ?? 0;
      if (drafted > 0) this.events.push({ type: "drafted", sequence: sequence.id, tokens: drafted });
      for (const [index, { tokenId, place }] of tokens.entries()) {
        sequence.drawn += 1;
        const isDraft = index < tokens.length - 1;
        if (this.accept(row, sequence, tokenId, logprobsOf.get(place), isDraft)) break;
      }
    }
    const next = batch.rows.map((sequence) => sequence?.outputTokenIds.at(-1) ?? 0);
    batch.next = mx.array(next, mx.int32);
  }

  /** Whether the batch can be so many columns wider and all still come to their ends. Closes holes if it takes that. */
  private hasRoomFor(batch: Batch, width: number): boolean {
    const running = batch.rows.filter((sequence) => sequence !== undefined);
    const coming = this.prefill?.rows.filter((sequence) => sequence !== undefined) ?? [];
    const fits = (): boolean => this.projectedBytes(running, coming, width) <= this.limits.kvCacheBytes;
    if (running.length === 1 && coming.length === 0) return true;
    if (fits()) return true;
    if (batch.cache.vainColumns < leastVainColumns) return false;
    batch.cache.select(batch.rows.keys().toArray());
    return fits();
  }

  /** Reads tokens that the device has chosen and tells what follows from them. */
  private read({ rows, next, logprobs }: Pick<Batch, "rows" | "next" | "logprobs">): void {
    const ids = next.tolist() as number[];
    const logprobsOf = readWanted(logprobs);
    for (const [row, sequence] of rows.entries()) {
      const tokenId = ids[row];
      if (sequence === undefined || tokenId === undefined || sequence.cancelled) continue;
      this.accept(row, sequence, tokenId, logprobsOf.get(sequence), false);
    }
  }

  /** Tells of a token that was read, and of the end that it may be; true if it is. */
  private accept(
    row: number,
    sequence: Sequence,
    tokenId: number,
    logprobs: TokenLogprobs | undefined,
    drafted: boolean,
  ): boolean {
    const end = sequence.accept(tokenId);
    this.events.push({
      type: "token",
      sequence: sequence.id,
      tokenId,
      ...(logprobs !== undefined && { logprobs }),
      ...(drafted && { drafted }),
    });
    if (end === undefined) return false;
    this.events.push({ type: "finished", sequence: sequence.id, reason: end });
    this.free(this.batch, row);
    return true;
  }

  /** Starts computing one slice, if any is left; returns its tokens. */
  private prefillSlice(prefill: Prefill): number {
    if (prefill.chosen !== undefined) return 0;
    prefill.slices += 1;
    const rows = prefill.rows.length;
    const done = prefill.cache.end;
    // While streams run, a slice is kept short so that they go on; alone, it may be as large as is efficient.
    const wanted = this.batch === undefined ? soloPrefillTokens : this.pace.tokens;
    const tokens = Math.min(wanted, mostTokensAtOnce(scoredHeads(this.model), prefill.columns));
    const scored = prefill.rows.find((sequence) => sequence?.promptLogprobs === true);
    const most = scored === undefined ? tokens : Math.min(tokens, maxScoredLogits / this.model.vocabularySize);
    const width = Math.max(1, Math.min(prefill.columns - done, Math.floor(most / rows)));
    const slice = prefill.tokens.index(mx.Slice(), mx.Slice(done, done + width));
    this.useAdapters(prefill.rows);
    const hidden = this.model.forward(slice, prefill.cache);
    for (const sequence of prefill.rows) {
      if (sequence !== undefined) this.events.push({ type: "progress", sequence: sequence.id });
    }
    if (scored !== undefined) this.scorePrompt(scored, hidden, done);
    prefill.pool?.add(hidden, done);
    if (prefill.cache.end < prefill.columns) {
      mx.asyncEval(...prefill.cache.arrays, ...(prefill.pool?.arrays ?? []));
      return width * rows;
    }
    if (prefill.pool !== undefined) {
      this.tellVectors(prefill.rows, prefill.pool);
      this.prefill = undefined;
      return width * rows;
    }
    prefill.chosen = this.choose(hidden, width - 1, prefill.rows, undefined);
    this.keepForWaiting(prefill);
    return width * rows;
  }

  /**
   * To join is to wait for the last slice, while the device may still be at the one before. So that running streams do not
   * wait for both at once, their next tokens are told in between: it rests for a step.
   */
  private mayRest({ slices }: Prefill): boolean {
    return slices > 1 && this.batch?.rows.some((sequence) => sequence !== undefined) === true;
  }

  private joinRested(): void {
    const { prefill } = this;
    if (prefill?.chosen === undefined) return;
    if (prefill.rested) this.join(prefill, prefill.chosen);
    prefill.rested = true;
  }

  private tellVectors(rows: Prefill["rows"], pool: EmbeddingPool): void {
    const vectors = pool.vectors(rows.map((sequence) => sequence !== undefined));
    for (const [row, sequence] of rows.entries()) {
      const vector = vectors[row];
      if (sequence !== undefined && vector !== undefined) {
        this.events.push({ type: "embedding", sequence: sequence.id, vector });
      }
    }
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
      if (sequence !== undefined && [...this.waiting].some((other) => sharesWork(sequence, other, 0))) {
        this.keep(cache, row, sequence);
      }
    }
  }

  /** Takes from the queue what can be computed together, in the order of their turns: nobody goes past one that has no room. */
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
      if (prefix !== undefined && cachedPromptTokens > 0) cache.load(row, prefix.pieces);
      this.events.push({ type: "admitted", sequence: sequence.id, cachedPromptTokens });
    }
    const rows = group.map(({ sequence }) => sequence);
    const pool = rows.some(({ embedding }) => embedding !== undefined) ? new EmbeddingPool(rows) : undefined;
    return {
      cache,
      rows,
      tokens: mx.array(padded, mx.int32),
      columns,
      slices: 0,
      chosen: undefined,
      rested: false,
      pool,
    };
  }

  private takeGroup(): Candidate[] {
    const running = this.batch?.rows.filter((sequence) => sequence !== undefined) ?? [];
    const group: Candidate[] = [];
    for (const sequence of this.waiting.inTurn(running)) {
      if (running.length + group.length === this.limits.maxBatch) break;
      const candidate = { sequence, prefix: this.cachedPrefix(sequence) };
      const next = [...group, candidate];
      if (!goTogether(next)) break;
      // One computes the common beginning, the others wait for it.
      if (group.some((first) => sharesWork(first.sequence, sequence, candidate.prefix?.tokens ?? 0))) break;
      const alone = running.length === 0 && group.length === 0;
      const sequences = next.map((each) => each.sequence);
      if (!alone && this.projectedBytes(running, sequences) > this.limits.kvCacheBytes) break;
      group.push(candidate);
    }
    this.waiting.drop((sequence) => group.some((taken) => taken.sequence === sequence));
    return group;
  }

  /** At least one token of a prompt is computed: its logits are needed. */
  private cachedPrefix({ promptTokenIds, promptLogprobs, cache }: Sequence): CachedPrefix | undefined {
    // Every logit of a prompt that is to be scored is needed, and they are not kept.
    if (!cache.read || promptLogprobs) return undefined;
    return this.prefixes.find(cache.partition, promptTokenIds.slice(0, -1));
  }

  /** What the caches will come to, if these are computed and join those that run. */
  private projectedBytes(running: ReadonlyArray<Sequence>, group: ReadonlyArray<Sequence>, more = 0): number {
    const prompt = Math.max(0, ...group.map(({ promptTokenIds }) => promptTokenIds.length));
    const remaining = Math.max(...[...running, ...group].map(({ remainingTokens }) => remainingTokens));
    // The batch goes on by a column with each slice of the prefill.
    const slices = Math.ceil((prompt * group.length) / this.pace.fewest);
    const columns = Math.max((this.batch?.cache.end ?? 0) + more + slices, prompt) + remaining;
    const rows = Math.max(this.batch?.rows.length ?? 0, running.length + group.length);
    const shape = this.model.cacheShape;
    const apart =
      this.batch === undefined || group.length === 0 ? 0 : bytesOf(shape, group.length, prompt + spareColumns);
    return bytesOf(shape, rows, withSlack(columns)) + apart;
  }

  private join(prefill: Prefill, chosen: Chosen): void {
    this.prefill = undefined;
    this.batch = joinBatch(this.batch, prefill, chosen);
  }

  /** Ends an empty batch and shrinks one that is mostly free rows, unless others are about to join. */
  private compact(): void {
    const { batch } = this;
    if (batch === undefined) return;
    const live = rowsInUse(batch);
    const coming = this.waiting.length + (this.prefill?.rows.length ?? 0);
    if (live.length === 0) this.batch = undefined;
    else if (live.length + coming <= batch.rows.length / 2) shrinkBatch(batch, live);
  }
}

/** Collections are due by memory touched: a slice of prefill leaves much more behind than a decode step. */
const prefillDebt = 4;
const loadDebt = 4;
const soloPrefillTokens = 1024;

/** Metal's kernels keep scores in registers; a mask is there all the same. */
const scoredHeads = ({ attentionHeads }: Model): number => (device === "cpu" ? attentionHeads : 1);

/** Logits of a prompt that are looked at together: 16 MiB of them, of which several copies live until a collection. */
const maxScoredLogits = 2 ** 22;

/** Fewer are not worth a copy of the cache. */
const leastVainColumns = 64;

/** Columns that a prefill's cache has beyond its prompts: the first output tokens need no growth. */
const spareColumns = 64;

const unfitReasons: Readonly<Record<Unfit, string>> = {
  stuck: "no token of the model's vocabulary goes on with what was written",
  "too-hard": "finding the tokens that may come next takes too long: simplify it",
  failed: "it could not be held to, by a fault of the engine",
};

/** Of one column what each row keeps: those that rest feed their token again. */
const keptOf = (rows: Batch["rows"], resting: ReadonlySet<number>): ReadonlyArray<number | undefined> =>
  rows.map((sequence, row) => (sequence === undefined ? undefined : resting.has(row) ? 0 : 1));

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
