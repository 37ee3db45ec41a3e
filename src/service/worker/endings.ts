/**
 * How few bytes end an output that has begun, so that it is led to an end while there is room for one.
 *
 * A grammar becomes an automaton over bytes whose rules are called: a thread of it is a place and what it returns to. Of
 * ambiguous grammars only so many threads are followed, the shortest first: each is a way to the end that there is.
 */
import type { Grammar, GrammarExpression } from "./protocol.ts";
import { isCounted, longestToken } from "./grammar-notation.ts";
import { utf8Ranges } from "./utf8-ranges.ts";

type Place =
  | {
      readonly type: "bytes";
      readonly first: number;
      readonly last: number;
      next: Place;
      cost: number;
      readonly id: number;
    }
  | { readonly type: "fork"; readonly nexts: Place[]; cost: number; readonly id: number }
  | { readonly type: "call"; readonly rule: string; next: Place; cost: number; readonly id: number }
  /** Of a rule. */
  | { readonly type: "end"; readonly cost: 0; readonly id: number };

/** What a rule returns to. */
interface Frame {
  readonly place: Place;
  readonly parent: Frame | undefined;
  /** Bytes to the end of everything, from its place on. */
  readonly cost: number;
  readonly atBound: boolean;
  readonly id: number;
  readonly children: Map<number, Frame>;
}

interface Thread {
  readonly place: Extract<Place, { type: "bytes" }>;
  readonly frame: Frame;
}

/** Where an output stands in its grammar. */
export interface Standing {
  readonly threads: ReadonlyArray<Thread>;
  /** Whether a token may go over the bound of a repetition that xgrammar does not count. */
  readonly atBound: boolean;
  /** Fewest bytes to an end; 0 where it may end. */
  readonly cost: number;
  readonly next: Map<number, Standing | undefined>;
  /** Of those that a token may lead to the highest cost; undefined: not known yet. */
  highest: number | undefined;
}

/** Tokens in the order of their bytes. */
export class SortedVocabulary {
  readonly ids: ReadonlyArray<number>;
  readonly bytes: ReadonlyArray<Uint8Array>;
  /** Of each with the one before: bytes in common. */
  readonly shared: Int32Array;

  /** @param tokens by id; empty where a token writes nothing */
  constructor(tokens: ReadonlyArray<Uint8Array>) {
    // Texts of one character for each byte compare much faster than bytes do.
    const written = tokens.flatMap((bytes, id) => (bytes.length === 0 ? [] : [{ id, bytes, key: latin1(bytes) }]));
    written.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    this.ids = written.map(({ id }) => id);
    this.bytes = written.map(({ bytes }) => bytes);
    this.shared = Int32Array.from(this.bytes, (bytes, index) => sharedLength(this.bytes[index - 1] ?? none, bytes));
  }
}

export class Endings {
  readonly beginning: Standing;
  private readonly vocabulary: SortedVocabulary;
  private readonly starts = new Map<string, Place>();
  private readonly standings = new Map<string, Standing>();
  /** Standings by what was reached before calls and returns were followed. */
  private readonly reached = new Map<string, Standing>();
  private places = 0;
  private frames = 0;
  /** Every cost that there can be is at most this; Infinity for grammars that nest without end. */
  private readonly bound: number;
  /** Places near the bound of a repetition. */
  private readonly bounded = new Set<Place>();

  constructor({ root, rules }: Grammar, vocabulary: SortedVocabulary) {
    this.vocabulary = vocabulary;
    const all: Place[] = [];
    for (const [name, of] of Object.entries(rules)) this.starts.set(name, this.build(of, this.end(), all));
    settleCosts(all, this.starts);
    this.bound = Math.max(...all.map(({ cost }) => cost)) + deepestReturn(root, all, rules, this.starts);
    const start = this.starts.get(root);
    if (start === undefined) throw new RangeError(`there is no rule ${root}`);
    const outermost: Frame = {
      place: this.end(),
      parent: undefined,
      cost: 0,
      atBound: false,
      id: this.frames++,
      children: new Map(),
    };
    this.beginning = this.standing([[start, outermost]]);
  }

  /** Undefined where the bytes do not fit. */
  after(from: Standing, bytes: Uint8Array): Standing | undefined {
    let at: Standing | undefined = from;
    for (const byte of bytes) {
      if (at === undefined) return undefined;
      at = this.step(at, byte);
    }
    return at;
  }

  /**
   * Takes the tokens out of the mask after which what remains is not enough for an end.
   *
   * @param remainingTokens of which the next one is the first
   * @returns false where all would have to go: the mask is then as it was
   */
  restrict(from: Standing, mask: Int32Array, remainingTokens: number): boolean {
    const left = remainingTokens - 1;
    if (!from.atBound) {
      if (left >= this.bound) return true;
      from.highest ??= this.walk(from, () => {});
      if (left >= from.highest) return true;
    }
    const kept = new Int32Array(mask.length);
    let some = false;
    this.walk(from, (id, cost) => {
      const word = id >>> 5;
      const bit = 1 << (id & 31);
      if (cost > left || ((mask[word] ?? 0) & bit) === 0) return;
      kept[word] = (kept[word] ?? 0) | bit;
      some = true;
    });
    // Where it may end now, nothing need follow.
    if (!some && from.cost > 0 && !from.atBound) return false;
    mask.set(kept);
    return true;
  }

  /** Tells each token that may come and the cost after it; gives the highest. */
  private walk(from: Standing, tell: (id: number, cost: number) => void): number {
    const { ids, bytes, shared } = this.vocabulary;
    const path: Standing[] = [from];
    let dead = Infinity;
    let highest = 0;
    for (let index = 0; index < ids.length; index++) {
      const common = shared[index] ?? 0;
      if (common >= dead) continue;
      dead = Infinity;
      const own = bytes[index] ?? none;
      path.length = common + 1;
      let at = path[common];
      for (let place = common; place < own.length && at !== undefined; place++) {
        at = this.step(at, own[place] ?? 0);
        if (at === undefined) dead = place + 1;
        else path.push(at);
      }
      if (at === undefined) continue;
      highest = Math.max(highest, at.cost);
      tell(ids[index] ?? 0, at.cost);
    }
    return highest;
  }

  private step(from: Standing, byte: number): Standing | undefined {
    if (from.next.has(byte)) return from.next.get(byte);
    let key = "";
    const reached: (readonly [Place, Frame])[] = [];
    for (const { place, frame } of from.threads) {
      if (byte < place.first || byte > place.last) continue;
      reached.push([place.next, frame]);
      key += `${place.next.id}.${frame.id},`;
    }
    let next = this.reached.get(key);
    if (next === undefined && reached.length > 0) {
      next = this.standing(reached);
      this.reached.set(key, next);
    }
    from.next.set(byte, next);
    return next;
  }

  /** Follows calls and returns up to where a byte is read. */
  private standing(reached: ReadonlyArray<readonly [Place, Frame]>): Standing {
    const threads = new Map<string, Thread>();
    const seen = new Set<string>();
    const open = [...reached];
    let cost = Infinity;
    for (let next = open.pop(); next !== undefined && seen.size < mostVisited; next = open.pop()) {
      const [place, frame] = next;
      const key = `${place.id}.${frame.id}`;
      if (seen.has(key)) continue;
      seen.add(key);
      cost = Math.min(cost, place.cost + frame.cost);
      switch (place.type) {
        case "bytes":
          threads.set(key, { place, frame });
          break;
        case "fork":
          for (const each of place.nexts) open.push([each, frame]);
          break;
        case "call": {
          const start = this.starts.get(place.rule);
          if (start !== undefined) open.push([start, this.frame(place.next, frame)]);
          break;
        }
        case "end":
          if (frame.parent !== undefined) open.push([frame.place, frame.parent]);
          break;
      }
    }
    const kept =
      threads.size <= mostThreads
        ? threads
        : new Map([...threads].toSorted(([, a], [, b]) => totalOf(a) - totalOf(b)).slice(0, mostThreads));
    const key = `${[...kept.keys()].toSorted().join()}/${cost}`;
    const known = this.standings.get(key);
    if (known !== undefined) return known;
    const own = [...kept.values()];
    const atBound = own.some((each) => each.frame.atBound || this.bounded.has(each.place));
    const made: Standing = { threads: own, atBound, cost, next: new Map(), highest: undefined };
    if (this.standings.size >= mostStandings) {
      this.standings.clear();
      this.reached.clear();
    }
    this.standings.set(key, made);
    return made;
  }

  private frame(place: Place, parent: Frame): Frame {
    // Where nothing is left to do, the parent's own return is next: repetitions by recursion do not grow.
    if (place.type === "end" && parent.parent !== undefined) return parent;
    const known = parent.children.get(place.id);
    if (known !== undefined) return known;
    const made: Frame = {
      place,
      parent,
      cost: place.cost + parent.cost,
      atBound: parent.atBound || this.bounded.has(place),
      id: this.frames++,
      children: new Map(),
    };
    parent.children.set(place.id, made);
    return made;
  }

  /** Built from its end backwards. */
  private build(of: GrammarExpression, next: Place, all: Place[]): Place {
    const add = <P extends Place>(place: P): P => {
      all.push(place);
      return place;
    };
    const bytes = (first: number, last: number, then: Place): Place =>
      add({ type: "bytes", first, last, next: then, cost: Infinity, id: this.places++ });
    const fork = (nexts: Place[]): Extract<Place, { type: "fork" }> =>
      add({ type: "fork", nexts, cost: Infinity, id: this.places++ });
    switch (of.type) {
      case "text":
        return [...encoder.encode(of.text)].reduceRight((then, byte) => bytes(byte, byte, then), next);
      case "chars":
        return fork(
          utf8Ranges(of.ranges).map((sequence) =>
            sequence.reduceRight((then, [first, last]) => bytes(first, last, then), next),
          ),
        );
      case "sequence":
        return of.parts.reduceRight((then, part) => this.build(part, then, all), next);
      case "choice":
        return fork(of.options.map((option) => this.build(option, next, all)));
      case "rule":
        return add({ type: "call", rule: of.name, next, cost: Infinity, id: this.places++ });
      case "repeat": {
        let then = next;
        const counted = isCounted(of);
        /** One more time, which is the last of so many. */
        const again = (number: number): Place => {
          const first = this.places;
          const made: Place[] = [];
          const built = this.build(of.of, then, made);
          all.push(...made);
          const last = of.max ?? Infinity;
          const isNear = number > last - longestToken - 1 || (number <= of.min && number >= longestToken);
          if (counted && isNear) for (const place of made) if (place.id >= first) this.bounded.add(place);
          return built;
        };
        if (of.max === undefined) {
          const loop = fork([next]);
          loop.nexts.push(this.build(of.of, loop, all));
          then = loop;
        } else for (let number = of.max; number > of.min; number--) then = fork([next, again(number)]);
        for (let number = of.min; number > 0; number--) then = again(number);
        return then;
      }
    }
  }

  private end(): Place {
    return { type: "end", cost: 0, id: this.places++ };
  }
}

const totalOf = ({ place, frame }: Thread): number => place.cost + frame.cost;

/** The fewest bytes from each place to the end of its rule. */
const settleCosts = (places: ReadonlyArray<Place>, starts: ReadonlyMap<string, Place>): void => {
  for (let changed = true; changed;) {
    changed = false;
    for (const place of places) {
      if (place.type === "end") continue;
      let cost: number;
      if (place.type === "bytes") cost = 1 + place.next.cost;
      else if (place.type === "fork") cost = Math.min(...place.nexts.map((next) => next.cost));
      else cost = (starts.get(place.rule)?.cost ?? Infinity) + place.next.cost;
      if (cost >= place.cost) continue;
      place.cost = cost;
      changed = true;
    }
  }
};

/** The highest sum of what the rules that are open at one time return to. */
const deepestReturn = (
  root: string,
  places: ReadonlyArray<Place>,
  rules: Grammar["rules"],
  starts: ReadonlyMap<string, Place>,
): number => {
  const highest = Math.max(0, ...places.flatMap((place) => (place.type === "call" ? [place.next.cost] : [])));
  const depths = new Map<string, number>();
  const depthOf = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    depths.set(name, Infinity);
    const of = rules[name];
    const depth = of === undefined ? 0 : Math.max(0, ...callsOf(of).map((called) => 1 + depthOf(called)));
    depths.set(name, depth);
    return depth;
  };
  return starts.size === 0 ? 0 : depthOf(root) * Math.max(1, highest);
};

const callsOf = (of: GrammarExpression): ReadonlyArray<string> => {
  switch (of.type) {
    case "rule":
      return [of.name];
    case "sequence":
      return of.parts.flatMap(callsOf);
    case "choice":
      return of.options.flatMap(callsOf);
    case "repeat":
      return callsOf(of.of);
    default:
      return [];
  }
};

const sharedLength = (a: Uint8Array, b: Uint8Array): number => {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
};

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

const none = new Uint8Array();
const encoder = new TextEncoder();

const mostThreads = 128;
const mostVisited = 4096;
/** Of one grammar; each has what follows it. */
const mostStandings = 8192;
