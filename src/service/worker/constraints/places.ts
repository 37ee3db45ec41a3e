/**
 * A grammar as a graph of places, connected by bytes, rule calls and repetitions. Bounded repetitions are counted and
 * not expanded, so the graph is as large as the grammar's text, whatever the bounds.
 */
import type { Grammar, GrammarExpression } from "../protocol/constraint.ts";
import { utf8Ranges } from "./utf8-ranges.ts";
import type { WorkLimit } from "./work-limit.ts";

interface PlaceBase {
  readonly id: number;
  /** Fewest bytes from here to the end of the rule, or of the turn of a repetition, that the place belongs to. */
  cost: number;
}

export interface BytesPlace extends PlaceBase {
  readonly type: "bytes";
  readonly first: number;
  readonly last: number;
  readonly next: Place;
}

export interface LoopPlace extends PlaceBase {
  readonly type: "loop";
  /** Numbers of turns that take at least one byte each; `Infinity` is no bound. */
  min: number;
  readonly max: number;
  readonly body: Place;
  readonly next: Place;
}

export interface CallPlace extends PlaceBase {
  readonly type: "call";
  readonly rule: string;
  readonly next: Place;
}

export type Place =
  | BytesPlace
  | LoopPlace
  | CallPlace
  | (PlaceBase & { readonly type: "fork"; readonly nexts: Place[] })
  /** The end of a rule, or of one turn of a repetition. */
  | (PlaceBase & { readonly type: "end" });

export interface Places {
  readonly root: Place;
  /** The first place of each rule. */
  readonly starts: ReadonlyMap<string, Place>;
  /** All ids are below this. */
  readonly size: number;
}

/** @param limit counts every place; the partial graph is dropped if it stops the work */
export const placesOf = ({ root, rules }: Grammar, limit: WorkLimit): Places => {
  const builder = new PlaceBuilder(limit);
  for (const name of calleesFirst(root, rules)) {
    const of = rules[name];
    if (of !== undefined) builder.rule(name, of);
  }
  const start = builder.starts.get(root);
  if (start === undefined) throw new RangeError(`there is no rule ${root}`);
  builder.settleCosts();
  return { root: start, starts: builder.starts, size: builder.size };
};

class PlaceBuilder {
  readonly starts = new Map<string, Place>();
  private readonly places: Place[] = [];
  private readonly end: Place = { type: "end", id: 0, cost: 0 };
  private readonly limit: WorkLimit;
  private ids = 1;

  get size(): number {
    return this.ids;
  }

  constructor(limit: WorkLimit) {
    this.limit = limit;
  }

  rule(name: string, of: GrammarExpression): void {
    this.starts.set(name, this.build(of, this.end));
  }

  /** Costs only decrease: a rule that depends on a recursive one may need another round. */
  settleCosts(): void {
    for (let changed = true; changed;) {
      changed = false;
      for (const place of this.places) {
        this.limit.spend();
        const cost = this.costOf(place);
        if (cost >= place.cost) continue;
        place.cost = cost;
        changed = true;
      }
    }
    // If a turn may be empty, none is required: the turns that take bytes are optional.
    for (const place of this.places) if (place.type === "loop" && place.body.cost === 0) place.min = 0;
  }

  private costOf(place: Place): number {
    switch (place.type) {
      case "end":
        return 0;
      case "bytes":
        return 1 + place.next.cost;
      case "call":
        return (this.starts.get(place.rule)?.cost ?? Infinity) + place.next.cost;
      case "loop":
        return (place.min === 0 ? 0 : place.min * place.body.cost) + place.next.cost;
      case "fork":
        return place.nexts.reduce((least, next) => Math.min(least, next.cost), Infinity);
    }
  }

  /** Builds the places of an expression, last part first. */
  private build(of: GrammarExpression, next: Place): Place {
    switch (of.type) {
      case "text":
        return [...encoder.encode(of.text)].reduceRight((then, byte) => this.bytes(byte, byte, then), next);
      case "chars":
        return this.chars(of.ranges, next);
      case "sequence":
        return of.parts.reduceRight((then, part) => this.build(part, then), next);
      case "choice":
        return this.fork(of.options.map((option) => this.build(option, next)));
      case "rule":
        // If a call is the last part of a rule, it returns to where the rule returns to.
        if (next.type === "end" && this.starts.has(of.name)) return this.starts.get(of.name) ?? next;
        return this.add({ type: "call", rule: of.name, next, cost: Infinity, id: this.ids++ });
      case "repeat":
        return this.repeat(of, next);
    }
  }

  private repeat({ of, min, max }: Extract<GrammarExpression, { type: "repeat" }>, next: Place): Place {
    if (max === 0) return next;
    if (min === 0 && max === 1) return this.fork([next, this.build(of, next)]);
    if (min === 1 && max === 1) return this.build(of, next);
    if (max === undefined && min <= 1) {
      const again = this.fork([next]);
      const body = this.build(of, again);
      again.nexts.push(body);
      return min === 0 ? again : body;
    }
    const body = this.build(of, this.end);
    return this.add({ type: "loop", min, max: max ?? Infinity, body, next, cost: Infinity, id: this.ids++ });
  }

  /** Byte sequences with the same suffix share the places of it. */
  private chars(ranges: Extract<GrammarExpression, { type: "chars" }>["ranges"], next: Place): Place {
    const known = new Map<string, Place>();
    const options = new Set<Place>();
    for (const sequence of utf8Ranges(ranges)) {
      options.add(
        sequence.reduceRight((then, [first, last]) => {
          const key = `${first}-${last}-${then.id}`;
          const place = known.get(key) ?? this.bytes(first, last, then);
          known.set(key, place);
          return place;
        }, next),
      );
    }
    return this.fork([...options]);
  }

  private bytes(first: number, last: number, next: Place): Place {
    return this.add({ type: "bytes", first, last, next, cost: Infinity, id: this.ids++ });
  }

  private fork(nexts: Place[]): Extract<Place, { type: "fork" }> {
    return this.add({ type: "fork", nexts, cost: Infinity, id: this.ids++ });
  }

  private add<P extends Place>(place: P): P {
    this.limit.spend();
    this.places.push(place);
    return place;
  }
}

/** The rules in an order in which non-recursive ones come before their callers. */
const calleesFirst = (root: string, rules: Grammar["rules"]): ReadonlyArray<string> => {
  const order: string[] = [];
  const seen = new Set([root]);
  const open: { readonly name: string; readonly callees: string[] }[] = [
    { name: root, callees: calleesOf(rules, root) },
  ];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const next = top.callees.pop();
    if (next === undefined) {
      order.push(top.name);
      open.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      open.push({ name: next, callees: calleesOf(rules, next) });
    }
  }
  return order;
};

const calleesOf = (rules: Grammar["rules"], name: string): string[] => {
  const found = new Set<string>();
  const visit = (of: GrammarExpression): void => {
    if (of.type === "rule") found.add(of.name);
    else if (of.type === "sequence") of.parts.forEach(visit);
    else if (of.type === "choice") of.options.forEach(visit);
    else if (of.type === "repeat") visit(of.of);
  };
  const of = rules[name];
  if (of !== undefined) visit(of);
  return [...found];
};

const encoder = new TextEncoder();
