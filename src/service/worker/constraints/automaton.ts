/**
 * Matches text byte by byte against a grammar, and knows at every point the fewest bytes to an end. It is exact: a text
 * is accepted as long as it is a prefix of some text of the grammar.
 *
 * It is a pushdown automaton over sets of places, determinised on the fly: visited states are stored with their
 * transitions, so that a byte usually costs one table lookup. A state follows all alternatives at once.
 */
import type { Grammar } from "../protocol/constraint.ts";
import { addTurns, type Frame, Frames, type Return, type Turns } from "./frames.ts";
import { type BytesPlace, type CallPlace, type LoopPlace, type Place, type Places, placesOf } from "./places.ts";
import { GrammarTooHard, type WorkLimit } from "./work-limit.ts";

interface Thread {
  readonly place: BytesPlace;
  readonly frame: Frame;
}

export interface State {
  readonly threads: ReadonlyArray<Thread>;
  /** A number for each thread, sorted. */
  readonly keys: Float64Array;
  /** Fewest bytes to an end; 0 if the text may end here. */
  readonly cost: number;
  /** Its row in the transition table, in this generation of the automaton. */
  readonly row: number;
  readonly generation: number;
}

/** See `Automaton.transitions` and `costs`. */
interface Table {
  readonly rows: Int32Array;
  readonly width: number;
  readonly costs: Float64Array;
}

/** A frame under construction: which calls share it is known only when all successors of a byte are known. */
class Draft {
  readonly target: CallPlace | LoopPlace;
  readonly returns: { readonly place: Place; readonly frame: Ref }[] = [];
  readonly turns: { readonly low: number; readonly high: number; readonly frame: Ref }[] = [];
  /** Whether the rule can be left without reading a byte. */
  left = false;
  made: Frame | undefined;

  constructor(target: CallPlace | LoopPlace) {
    this.target = target;
  }
}

type Ref = Frame | Draft;

export class Automaton {
  private readonly places: Places;
  private readonly frames = new Frames();
  /** States by a hash of their contents. */
  private readonly states = new Map<number, State[]>();
  /** By row; row 0 is unused. */
  private byRow: (State | undefined)[] = [undefined];
  private readonly classes: ByteClasses;
  /** Row x class: the next row; 0 if it is not known yet, -1 if there is none. */
  private transitions: Int32Array;
  /** By row: the state's cost. */
  private costs = new Float64Array(64);
  private generation = 0;
  private threads = 0;
  private start: State | undefined;

  /** @param limit bounds the work of building it */
  constructor(grammar: Grammar, limit: WorkLimit) {
    this.places = placesOf(grammar, limit);
    this.classes = new ByteClasses(this.places);
    this.transitions = new Int32Array(this.classes.count * 64);
  }

  /** The state before any text. */
  beginning(limit: WorkLimit): State {
    const known = this.start;
    if (known !== undefined && known.generation === this.generation) return known;
    const made = this.closure([[this.places.root, this.frames.root]], limit);
    if (made === undefined) throw new RangeError("nothing fits the grammar");
    this.start = made;
    return made;
  }

  /** Approximate memory in bytes. */
  get bytes(): number {
    return this.transitions.byteLength + this.threads * 32 + this.frames.size * 200 + this.byRow.length * 300;
  }

  /** Undefined if the bytes do not match. */
  after(from: State, bytes: Uint8Array, limit: WorkLimit): State | undefined {
    let at: State | undefined = this.current(from);
    for (const byte of bytes) {
      if (at === undefined) return undefined;
      at = this.step(at, byte, limit);
    }
    return at;
  }

  step(from: State, byte: number, limit: WorkLimit): State | undefined {
    const at = from.row * this.classes.count + (this.classes.of[byte] ?? 0);
    const known = this.transitions[at] ?? 0;
    if (known !== 0) return this.byRow[known];
    const reached: [Place, Frame][] = [];
    for (const { place, frame } of from.threads) {
      if (byte >= place.first && byte <= place.last) reached.push([place.next, frame]);
    }
    const next = reached.length === 0 ? undefined : this.closure(reached, limit);
    this.transitions[at] = next?.row ?? -1;
    return next;
  }

  /** The state that has the same masks for every token: see `Frames.withinToken`. */
  withinToken(from: State): { readonly state: State; readonly surplus: number } {
    const at = this.current(from);
    let surplus = 0;
    let isSame = true;
    const threads = at.threads.map(({ place, frame }) => {
      const near = this.frames.withinToken(frame);
      surplus = Math.max(surplus, frame.surplus);
      isSame &&= near === frame;
      return { place, frame: near };
    });
    if (isSame) return { state: at, surplus };
    return { state: this.intern(threads, at.cost === 0), surplus };
  }

  /** The class of each byte, which is its column in the table. */
  get classOf(): Uint8Array {
    return this.classes.of;
  }

  /** The transition table, for walking over many tokens; valid until the next state is made. */
  get table(): Table {
    return { rows: this.transitions, width: this.classes.count, costs: this.costs };
  }

  stateOf(row: number): State | undefined {
    return this.byRow[row];
  }

  /** Frees memory if more is held than one grammar may use. Call it between steps only. */
  trim(): void {
    if (this.byRow.length <= maxStates && this.threads <= maxThreads && this.frames.size <= maxThreads) return;
    this.states.clear();
    this.frames.forget();
    this.byRow = [undefined];
    this.transitions = new Int32Array(this.classes.count * 64);
    this.threads = 0;
    this.generation += 1;
  }

  /** Makes a forgotten state known again. */
  current(state: State): State {
    if (state.generation === this.generation) return state;
    return this.intern(state.threads, state.cost === 0);
  }

  get era(): number {
    return this.generation;
  }

  /**
   * The state at the reached places: calls, returns and repetitions are followed to the places where bytes are read.
   */
  private closure(reached: ReadonlyArray<readonly [Place, Frame]>, limit: WorkLimit): State | undefined {
    const threads: { readonly place: BytesPlace; readonly frame: Ref }[] = [];
    const drafts = new Map<Place | string, Draft>();
    const numbers = new Map<Ref, number>();
    const seen = new Set<number>();
    const open: (readonly [Place, Ref])[] = [];
    let mayEnd = false;
    let lastFrame: Ref | undefined;
    let lastNumber = 0;
    const push = (place: Place, frame: Ref): void => {
      if (frame !== lastFrame) {
        lastFrame = frame;
        lastNumber = numbers.get(frame) ?? numbers.size;
        numbers.set(frame, lastNumber);
      }
      const before = seen.size;
      seen.add(lastNumber * this.places.size + place.id);
      if (seen.size > before) open.push([place, frame]);
    };
    /** How many turns of a repetition may follow from here. */
    const repeat = (loop: LoopPlace, low: number, high: number, frame: Ref): void => {
      if (low === 0) push(loop.next, frame);
      if (high === 0) return;
      let draft = drafts.get(loop);
      if (draft === undefined) drafts.set(loop, (draft = new Draft(loop)));
      if (addTurns(draft.turns, { low: Math.max(0, low - 1), high: high - 1, frame })) push(loop.body, draft);
    };
    const call = (place: CallPlace, frame: Ref): void => {
      let draft = drafts.get(place.rule);
      if (draft === undefined) drafts.set(place.rule, (draft = new Draft(place)));
      draft.returns.push({ place: place.next, frame });
      if (draft.left) push(place.next, frame);
      const start = this.places.starts.get(place.rule);
      if (start !== undefined) push(start, draft);
    };
    const leave = (frame: Ref): void => {
      if (frame instanceof Draft) {
        // A turn that read no byte does not count.
        if (frame.target.type === "loop") return;
        frame.left = true;
        for (const each of frame.returns) push(each.place, each.frame);
      } else if (frame.type === "root") mayEnd = true;
      else if (frame.type === "call") for (const each of frame.returns) push(each.place, each.frame);
      else for (const { low, high, frame: parent } of frame.turns) repeat(frame.loop, low, high, parent);
    };
    for (const [place, frame] of reached) push(place, frame);
    for (let top = open.pop(); top !== undefined; top = open.pop()) {
      limit.spend();
      const [place, frame] = top;
      switch (place.type) {
        case "bytes":
          threads.push({ place, frame });
          break;
        case "fork":
          for (const next of place.nexts) push(next, frame);
          break;
        case "call":
          call(place, frame);
          break;
        case "loop":
          repeat(place, place.min, place.max, frame);
          break;
        case "end":
          leave(frame);
      }
    }
    const reading = threads.map(({ place, frame }) => ({
      place,
      frame: frame instanceof Draft ? this.make(frame, limit) : frame,
    }));
    return reading.length === 0 && !mayEnd ? undefined : this.intern(reading, mayEnd);
  }

  /** The parents of a draft are made before it. It cannot be its own parent, as no rule is left-recursive. */
  private make(draft: Draft, limit: WorkLimit): Frame {
    if (draft.made !== undefined) return draft.made;
    limit.spend();
    const made = (frame: Ref): Frame => (frame instanceof Draft ? this.make(frame, limit) : frame);
    const { target } = draft;
    if (target.type === "call") {
      const returns = new Map<string, Return>();
      for (const each of draft.returns) {
        const frame = made(each.frame);
        returns.set(`${each.place.id}.${frame.id}`, { place: each.place, frame });
      }
      draft.made = this.frames.call([...returns.values()]);
    } else {
      const turns: Turns[] = [];
      for (const each of draft.turns) addTurns(turns, { ...each, frame: made(each.frame) });
      draft.made = this.frames.loop(target, turns);
    }
    return draft.made;
  }

  private intern(unsorted: ReadonlyArray<Thread>, mayEnd: boolean): State {
    const { size } = this.places;
    const keyOf = ({ place, frame }: Thread): number => frame.id * size + place.id;
    let threads = unsorted;
    let keys = Float64Array.from(threads, keyOf).sort();
    if (keys.some((key, index) => key === keys[index + 1])) {
      threads = [...new Map(threads.map((thread) => [keyOf(thread), thread] as const)).values()];
      keys = Float64Array.from(threads, keyOf).sort();
    }
    const hash = hashOf(keys, mayEnd);
    const alike = this.states.get(hash);
    const known = alike?.find((state) => (state.cost === 0) === mayEnd && areEqual(state.keys, keys));
    if (known !== undefined) return known;
    const row = this.byRow.length;
    // Within one walk more states may be made than are kept afterwards, but within a bound.
    if (row > 4 * maxStates || this.threads > 4 * maxThreads) throw new GrammarTooHard(tooManyStates);
    let cost = mayEnd ? 0 : Infinity;
    for (const { place, frame } of threads) cost = Math.min(cost, place.cost + frame.cost);
    const state: State = { threads, keys, cost, row, generation: this.generation };
    this.threads += threads.length;
    if (alike === undefined) this.states.set(hash, [state]);
    else alike.push(state);
    this.byRow.push(state);
    if ((row + 1) * this.classes.count > this.transitions.length) {
      const larger = new Int32Array(this.transitions.length * 2);
      larger.set(this.transitions);
      this.transitions = larger;
    }
    if (row >= this.costs.length) {
      const larger = new Float64Array(this.costs.length * 2);
      larger.set(this.costs);
      this.costs = larger;
    }
    this.costs[row] = cost;
    return state;
  }
}

/** Classes of bytes that no place distinguishes. */
class ByteClasses {
  readonly of = new Uint8Array(256);
  readonly count: number;

  constructor({ starts }: Places) {
    const borders = new Uint8Array(257);
    const seen = new Set<Place>();
    const open = [...starts.values()];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (seen.has(place)) continue;
      seen.add(place);
      if (place.type === "bytes") {
        borders[place.first] = 1;
        borders[place.last + 1] = 1;
      }
      if (place.type === "fork") open.push(...place.nexts);
      else if (place.type !== "end") open.push(place.next);
      if (place.type === "loop") open.push(place.body);
    }
    let current = 0;
    for (let byte = 1; byte < 256; byte++) {
      current += borders[byte] ?? 0;
      this.of[byte] = current;
    }
    this.count = current + 1;
  }
}

const hashOf = (keys: Float64Array, mayEnd: boolean): number => {
  let hash = mayEnd ? 1 : 2;
  for (const key of keys) hash = Math.imul(hash ^ (key | 0) ^ ((key / 2 ** 32) | 0), 0x01000193);
  return hash;
};

const areEqual = (a: Float64Array, b: Float64Array): boolean =>
  a.length === b.length && a.every((key, index) => key === b[index]);

/** Limits for one grammar, between two steps. */
const maxStates = 16_384;
const maxThreads = 262_144;
const tooManyStates = "too many of its parts fit at once";
