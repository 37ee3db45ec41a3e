/**
 * Continuous batching: sequences join and leave the running batch at every step.
 *
 * A step starts the next decode of the batch on the device, then one slice of prefill for waiting sequences, and only
 * then reads the tokens of the previous decode. So the device is never idle while this thread works, and the thread
 * waits for it once per step. That a sequence has ended is known one step late; what was computed for it by then is
 * discarded.
 *
 * If drafts are likely to pay off, the tokens are read first, and the step verifies drafts instead (speculation/); its
 * choices are read in the same step.
 */
import { AdapterLoads } from "../adapters/adapter-loads.ts";
import type { Model } from "../architectures/Model.ts";
import { bytesOf, snapshotBytes, withSlack } from "../cache/cache-size.ts";
import { PrefixCache } from "../cache/prefix-cache.ts";
import type { Constraints } from "../constraints/constraints.ts";
import type { Tensor } from "../mlx.ts";
import type { ClearedPrefixes, PrefixReport } from "../protocol/prefix-report.ts";
import type { SequenceEvent } from "../protocol/sequence-events.ts";
import type { SubmitMessage } from "../protocol/submit-message.ts";
import type { PrefixSelection, WorkerLimits } from "../protocol/to-worker.ts";
import { Sequence } from "../sequence/sequence.ts";
import type { Speculator } from "../speculation/speculator.ts";
import { type Batch, type Chosen, joinBatch, rowsInUse, shrinkBatch, tensorsOfChosen } from "./batch.ts";
import { TokenChooser } from "./choose-tokens.ts";
import { Decoder } from "./decode.ts";
import { StepEvents } from "./events.ts";
import { cachePrefix, freeRow } from "./free-row.ts";
import { MemoryPlan } from "./memory-plan.ts";
import { Prefill } from "./prefill.ts";
import { sharesWork } from "./prefill-group.ts";
import { PrefillSlicer } from "./prefill-slice.ts";
import { TokenReader, type UnreadTokens } from "./read-tokens.ts";
import { SlicePace } from "./slice-pace.ts";
import { StepScope } from "./step-scope.ts";
import { looksUp, takeGroup } from "./take-group.ts";
import { DraftVerifier, type Verifying } from "./verify-drafts.ts";
import { WaitingQueue } from "./waiting-queue.ts";

interface SchedulerCompanions {
  /** Undefined: nothing is drafted. */
  readonly speculator?: Speculator | undefined;
  /** The constraints of sequences; opened before the sequence is submitted. */
  readonly constraints?: Constraints;
}

export class Scheduler {
  private readonly model: Model;
  private readonly limits: WorkerLimits;
  private readonly now: () => number;
  private readonly constraints: Constraints | undefined;
  private readonly speculator: Speculator | undefined;
  private readonly prefixes: PrefixCache;
  private readonly adapterLoads: AdapterLoads;
  private readonly pace: SlicePace;
  private readonly memory: MemoryPlan;
  private readonly reader: TokenReader;
  private readonly decoder: Decoder;
  private readonly slicer: PrefillSlicer;
  private readonly verifier: DraftVerifier | undefined;
  private readonly events = new StepEvents();
  private readonly scope = new StepScope();
  private readonly waiting = new WaitingQueue();
  private prefill: Prefill | undefined;
  private batch: Batch | undefined;
  /** When the last decode step began. */
  private decodedAt = Number.NEGATIVE_INFINITY;
  private work = { rows: 0, prefillTokens: 0 };

  /**
   * @param now milliseconds of a monotonic clock
   * @param companions what some sequences need besides the model
   */
  constructor(
    model: Model,
    limits: WorkerLimits,
    now: () => number,
    { constraints, speculator }: SchedulerCompanions = {},
  ) {
    const { events } = this;
    this.model = model;
    this.limits = limits;
    this.now = now;
    this.constraints = constraints;
    this.speculator = speculator;
    this.prefixes = new PrefixCache(limits.prefixCacheBytes, snapshotBytes(model.cacheShape, 1));
    this.adapterLoads = new AdapterLoads(model.adapters, limits.maxAdapters, now);
    this.pace = new SlicePace(limits.prefillSliceTokens);
    this.memory = new MemoryPlan(model.cacheShape, limits.kvCacheBytes, this.pace.fewest);
    this.reader = new TokenReader(this.prefixes, events);
    const chooser = new TokenChooser(model, constraints);
    this.decoder = new Decoder(chooser, constraints, this.prefixes, events);
    this.slicer = new PrefillSlicer(model, chooser, events);
    const { memory, reader } = this;
    this.verifier = speculator && new DraftVerifier({ speculator, constraints, chooser, memory, reader, events, now });
  }

  /** Whether there is nothing to compute and nothing to report. */
  get idle(): boolean {
    const { waiting, batch, prefill, adapterLoads, events } = this;
    const works = waiting.length > 0 || batch !== undefined || prefill !== undefined || !adapterLoads.idle;
    return !works && events.isEmpty;
  }

  get kvCacheBytes(): number {
    return (this.batch?.cache.bytes ?? 0) + (this.prefill?.cache.bytes ?? 0) + (this.speculator?.kvCacheBytes ?? 0);
  }

  get prefixCacheBytes(): number {
    return this.prefixes.bytes;
  }

  /** The work of the last step: decoded sequences, and prompt tokens. */
  get lastWork(): Readonly<{ rows: number; prefillTokens: number }> {
    return this.work;
  }

  submit(request: SubmitMessage): void {
    const sequence = new Sequence(request, this.now());
    const neededBytes = bytesOf(this.model.cacheShape, 1, withSlack(sequence.maxTokens));
    const availableBytes = this.limits.kvCacheBytes;
    if (neededBytes > availableBytes) {
      this.events.add({ type: "refused", sequence: request.sequence, neededBytes, availableBytes });
      return;
    }
    if (this.adapterLoads.enter(sequence)) this.waiting.add(sequence);
  }

  cancel(id: number): void {
    for (const sequence of this.sequences()) if (sequence.id === id) sequence.cancelled = true;
  }

  /** To be called between two steps. */
  clearPrefixes(selection: PrefixSelection): ClearedPrefixes {
    return this.prefixes.clear(selection);
  }

  /** What has changed in the prefix cache since it was last asked; undefined: nothing. */
  takePrefixReport(): PrefixReport | undefined {
    return this.prefixes.takeReport();
  }

  /** The events since the last call. */
  takeEvents(): ReadonlyArray<SequenceEvent> {
    return this.events.take();
  }

  /** Runs one step; `takeEvents` returns its events. Returns its work in decode steps. */
  step(): number {
    return this.scope.run(
      () => this.compute(),
      () => this.tensors(),
    );
  }

  /** The tensors that the next step needs. The prefix cache, adapters and constraint masks own theirs. */
  private *tensors(): Iterable<Tensor> {
    const { batch, prefill, speculator } = this;
    if (batch !== undefined) yield* [...batch.cache.tensors, ...tensorsOfChosen(batch)];
    if (prefill !== undefined) yield* prefill.tensors;
    yield* speculator?.tensors ?? [];
  }

  private compute(): number {
    const begun = this.now();
    this.speculator?.begin(begun);
    this.expire();
    this.joinRested();
    const loading = this.loadAdapters();
    const rests = this.batchRests(begun);
    const decoded = rests ? undefined : this.batch;
    if (decoded !== undefined) this.decodedAt = begun;
    const verifying = rests ? undefined : this.verifier?.start(decoded, this.prefill?.sequences ?? []);
    const rows = decoded === undefined ? 0 : rowsInUse(decoded).length;
    const fed = verifying === undefined && decoded !== undefined ? this.decoder.start(decoded) : undefined;
    this.prefill ??= this.startPrefill();
    const decoding = (fed === undefined ? 0 : 1) + (verifying === undefined ? 0 : 2);
    const debt = loading + decoding + (this.prefill === undefined ? 0 : prefillDebt);
    if (this.prefill === undefined) this.time(begun, fed, verifying);
    const sliceTokens = this.prefill === undefined ? 0 : this.computeSlice(this.prefill, decoded !== undefined);
    this.work = { rows, prefillTokens: sliceTokens };
    if (verifying !== undefined) this.verifier?.finish(verifying);
    if (fed !== undefined) this.reader.read(fed);
    if (this.prefill?.chosen !== undefined && (rests || !this.mayRest(this.prefill)))
      this.join(this.prefill, this.prefill.chosen);
    this.pace.step(this.now(), fed === undefined ? 0 : sliceTokens);
    this.compact();
    this.constraints?.retain(this.sequences());
    if (this.batch === undefined) {
      this.speculator?.time(undefined);
      this.speculator?.prepare([]);
    }
    return debt;
  }

  /** Steps without other work measure the cost of decoding; plain steps only if they waited for a previous decode. */
  private time(begun: number, fed: UnreadTokens | undefined, verifying: Verifying | undefined): void {
    if (verifying !== undefined) {
      const { batch, plan, verification, since } = verifying;
      this.speculator?.time({ rows: batch.rows.length, width: verification.width, source: plan.source, since });
    } else if (fed?.rows.some((sequence) => sequence !== undefined) === true) {
      this.speculator?.time({ rows: fed.rows.length, width: 1, since: begun });
    }
  }

  private *sequences(): Iterable<Sequence> {
    yield* this.adapterLoads.sequences;
    yield* this.waiting;
    yield* this.prefill?.sequences ?? [];
    for (const sequence of this.batch?.rows ?? []) if (sequence !== undefined) yield sequence;
  }

  /** Drops cancelled sequences and ends those whose time budget is used up. */
  private expire(): void {
    const now = this.now();
    const gone = (sequence: Sequence): boolean => {
      if (sequence.cancelled) return true;
      if (!sequence.expired(now)) return false;
      this.events.add({ type: "finished", sequence: sequence.id, reason: "time-budget" });
      return true;
    };
    this.adapterLoads.drop(gone);
    this.waiting.drop(gone);
    for (const part of [this.prefill, this.batch]) {
      if (part === undefined) continue;
      for (const [row, sequence] of part.rows.entries()) {
        if (sequence !== undefined && gone(sequence)) freeRow(this.prefixes, part, row);
      }
    }
    if (this.prefill?.sequences.length === 0) this.prefill = undefined;
    this.compact();
  }

  /** Continues sequences whose adapter has been loaded. Returns its work in decode steps. */
  private loadAdapters(): number {
    if (this.adapterLoads.idle) return 0;
    const { ready, failed } = this.adapterLoads.advance(() => this.sequences());
    if (this.adapterLoads.isLoading) {
      for (const { id } of this.adapterLoads.sequences) this.events.add({ type: "progress", sequence: id });
    }
    this.waiting.add(...ready);
    for (const { sequence, reason } of failed) {
      this.events.add({ type: "adapter-failed", sequence: sequence.id, reason });
    }
    return loadDebt;
  }

  /**
   * Whether the running sequences, all of them items of jobs, leave this step to the prompt of an interactive one: its
   * first token comes as soon as if it were alone. They get a step now and then, so that prompt after prompt does not
   * end them.
   */
  private batchRests(now: number): boolean {
    const isInteractive = ({ background }: Sequence): boolean => !background;
    const rows = this.batch?.rows.filter((sequence) => sequence !== undefined) ?? [];
    if (rows.length === 0 || rows.some(isInteractive) || now - this.decodedAt >= longestRestMs) return false;
    if ([...this.waiting].some(isInteractive)) this.prefill ??= this.startPrefill();
    return this.prefill?.chosen === undefined && this.prefill?.sequences.some(isInteractive) === true;
  }

  private startPrefill(): Prefill | undefined {
    const { batch, prefixes, memory } = this;
    const group = takeGroup(this.waiting, { batch, prefixes, memory, maxBatch: this.limits.maxBatch });
    if (group.length === 0) return undefined;
    const prefill = new Prefill(this.model.cacheShape, group);
    for (const [row, { sequence }] of group.entries()) {
      const cachedPromptTokens = prefill.cachedTokens[row] ?? 0;
      this.events.add({ type: "admitted", sequence: sequence.id, cachedPromptTokens });
      if (looksUp(sequence)) {
        const { cache, promptTokenIds } = sequence;
        prefixes.countLookup(cache.partition, promptTokenIds.length - 1, cachedPromptTokens);
      }
    }
    return prefill;
  }

  /** Starts computing one slice, if any is left; returns its number of tokens. */
  private computeSlice(prefill: Prefill, delaysStreams: boolean): number {
    if (prefill.chosen !== undefined) return 0;
    // While streams run, a slice is kept short so that they continue; otherwise it may be as large as is efficient.
    const tokens = this.slicer.start(prefill, delaysStreams ? this.pace.tokens : soloPrefillTokens);
    if (prefill.ended) this.prefill = undefined;
    if (prefill.chosen !== undefined) this.cacheForWaiting(prefill);
    return tokens;
  }

  /** A prompt that other waiting sequences begin with is cached immediately: they have waited for it. */
  private cacheForWaiting({ cache, rows }: Prefill): void {
    for (const [row, sequence] of rows.entries()) {
      if (sequence !== undefined && [...this.waiting].some((other) => sharesWork(sequence, other, 0))) {
        cachePrefix(this.prefixes, cache, row, sequence);
      }
    }
  }

  /**
   * Joining waits for the last slice, while the device may still compute the one before. To avoid that running streams
   * wait for both, the prefill rests for a step in which their next tokens are read.
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

  private join(prefill: Prefill, chosen: Chosen): void {
    this.prefill = undefined;
    this.batch = joinBatch(this.batch, prefill, chosen);
  }

  /** Ends an empty batch, and shrinks one that consists mostly of free rows, unless others are about to join. */
  private compact(): void {
    const { batch } = this;
    if (batch === undefined) return;
    const live = rowsInUse(batch);
    const coming = this.waiting.length + (this.prefill?.rows.length ?? 0);
    if (live.length === 0) this.batch = undefined;
    else if (live.length + coming <= batch.rows.length / 2) shrinkBatch(batch, live);
  }
}

/** Collections follow the memory that was touched: a slice of prefill leaves much more behind than a decode step. */
const prefillDebt = 4;
const loadDebt = 4;
const soloPrefillTokens = 1024;
const longestRestMs = 250;
