/** The loaded adapters, and the sequences that wait for one to be loaded. */
import { openAdapter } from "./adapter-file.ts";
import type { Adapters } from "./adapters.ts";
import { LoadError } from "../files/load-error.ts";
import type { AdapterSource } from "../protocol/submit-message.ts";
import type { Sequence } from "../sequence/sequence.ts";

/** The result of a step of loading. */
interface Progress {
  /** Sequences whose adapter has been loaded; they have its slot. */
  readonly ready: ReadonlyArray<Sequence>;
  /** Sequences whose adapter cannot be loaded. */
  readonly failed: ReadonlyArray<{ readonly sequence: Sequence; readonly reason: string }>;
}

interface Load {
  readonly key: string;
  readonly slot: number;
  readonly layers: Iterator<void, void, void>;
}

export class AdapterLoads {
  private readonly adapters: Adapters;
  private readonly limit: number;
  private readonly now: () => number;
  /** The slot of each loaded adapter by its key, least recently used first. */
  private readonly slots = new Map<string, number>();
  private waiting: Sequence[] = [];
  private load: Load | undefined;

  /** @param limit how many adapters are loaded at once */
  constructor(adapters: Adapters, limit: number, now: () => number) {
    this.adapters = adapters;
    this.limit = limit;
    this.now = now;
  }

  get idle(): boolean {
    return this.waiting.length === 0 && this.load === undefined;
  }

  get isLoading(): boolean {
    return this.load !== undefined;
  }

  get sequences(): ReadonlyArray<Sequence> {
    return this.waiting;
  }

  /** Whether the sequence can be computed immediately; otherwise it waits here. */
  enter(sequence: Sequence): boolean {
    if (this.equip(sequence)) return true;
    this.waiting.push(sequence);
    return false;
  }

  /** Forgets sequences that no longer wait. */
  drop(gone: (sequence: Sequence) => boolean): void {
    this.waiting = this.waiting.filter((sequence) => !gone(sequence));
  }

  /**
   * Continues loading for a short time, as streams are running meanwhile. Loads one adapter at a time, however many
   * sequences wait for it.
   *
   * @param running the sequences that have a slot, which must not be overwritten
   */
  advance(running: () => Iterable<Sequence>): Progress {
    const [first] = this.waiting;
    if (this.load === undefined && first?.adapter !== undefined) {
      const slot = this.freeSlot(running);
      if (slot === undefined) return nothing;
      const { directory, key } = first.adapter;
      try {
        this.load = { key, slot, layers: this.adapters.fill(slot, openAdapter(directory, this.adapters.parts)) };
      } catch (cause) {
        return this.fail(key, cause);
      }
      for (const [other, taken] of this.slots) if (taken === slot) this.slots.delete(other);
    }
    return this.load === undefined ? nothing : this.goOn(this.load);
  }

  private goOn({ key, slot, layers }: Load): Progress {
    const until = this.now() + sliceMs;
    try {
      while (this.now() < until) {
        if (layers.next().done !== true) continue;
        this.load = undefined;
        this.slots.set(key, slot);
        return { ready: this.takeOut((sequence) => this.equip(sequence)), failed: [] };
      }
      return nothing;
    } catch (cause) {
      this.load = undefined;
      return this.fail(key, cause);
    }
  }

  private equip(sequence: Sequence): boolean {
    if (sequence.adapter === undefined) return true;
    const { key } = sequence.adapter;
    const slot = this.slots.get(key);
    if (slot === undefined) return false;
    this.slots.delete(key);
    this.slots.set(key, slot);
    sequence.adapterSlot = slot;
    return true;
  }

  /** An unused slot, or that of the least recently used adapter that is not in use. */
  private freeSlot(running: () => Iterable<Sequence>): number | undefined {
    const taken = new Set(this.slots.values());
    for (let slot = 1; slot <= this.limit; slot++) if (!taken.has(slot)) return slot;
    const inUse = new Set(Iterator.from(running()).map(({ adapterSlot }) => adapterSlot));
    return this.slots.values().find((slot) => !inUse.has(slot));
  }

  private fail(key: AdapterSource["key"], cause: unknown): Progress {
    const reason = cause instanceof LoadError ? cause.message : `unexpected: ${String(cause)}`;
    const failed = this.takeOut(({ adapter }) => adapter?.key === key);
    return { ready: [], failed: failed.map((sequence) => ({ sequence, reason })) };
  }

  private takeOut(of: (sequence: Sequence) => boolean): ReadonlyArray<Sequence> {
    const taken = this.waiting.filter(of);
    this.waiting = this.waiting.filter((sequence) => !taken.includes(sequence));
    return taken;
  }
}

const nothing: Progress = { ready: [], failed: [] };

/** About the time of a decode step. */
const sliceMs = 5;
