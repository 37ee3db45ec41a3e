/**
 * The stacks of the automaton: what follows after the end of a rule, or of one turn of a repetition. Calls made at the
 * same place of the output share a frame with everything that they return to, so that ambiguity does not multiply
 * stacks.
 */
import type { LoopPlace, Place } from "./places.ts";

/** Where a rule returns to. */
export interface Return {
  readonly place: Place;
  readonly frame: Frame;
}

/** How many turns of a repetition may follow the current one, and what the repetition returns to. */
export interface Turns {
  readonly low: number;
  readonly high: number;
  readonly frame: Frame;
}

interface FrameBase {
  readonly id: number;
  /** Fewest bytes from its return to an end of the text. */
  readonly cost: number;
  /** A frame that no single token can distinguish from this one; see `Frames.withinToken`. */
  near: Frame | undefined;
  /** By how many bytes `near` may be closer to an end. */
  surplus: number;
}

export type Frame =
  | (FrameBase & { readonly type: "root" })
  | (FrameBase & { readonly type: "call"; readonly returns: ReadonlyArray<Return> })
  | (FrameBase & { readonly type: "loop"; readonly loop: LoopPlace; readonly turns: ReadonlyArray<Turns> });

/** The longest token, in bytes, that may be chosen under a constraint; the few longer ones are excluded. */
export const longestToken = 32;

export class Frames {
  readonly root: Frame = { type: "root", id: 0, cost: 0, near: undefined, surplus: 0 };
  private readonly known = new Map<string, Frame>();
  private ids = 1;

  get size(): number {
    return this.known.size;
  }

  /** Frames in use stay valid; equal ones are made again. */
  forget(): void {
    this.known.clear();
  }

  call(returns: ReadonlyArray<Return>): Frame {
    const sorted = returns.toSorted((a, b) => a.place.id - b.place.id || a.frame.id - b.frame.id);
    const key = `c${sorted.map(({ place, frame }) => `${place.id}.${frame.id}`).join()}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    let cost = Infinity;
    for (const { place, frame } of sorted) cost = Math.min(cost, place.cost + frame.cost);
    return this.intern(key, { type: "call", returns: sorted, cost, id: this.ids++, near: undefined, surplus: 0 });
  }

  loop(loop: LoopPlace, turns: ReadonlyArray<Turns>): Frame {
    const sorted = turns.toSorted((a, b) => a.frame.id - b.frame.id || a.low - b.low);
    const key = `l${loop.id}:${sorted.map(({ low, high, frame }) => `${low}-${high}.${frame.id}`).join()}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    let cost = Infinity;
    for (const { low, frame } of sorted) {
      cost = Math.min(cost, (low === 0 ? 0 : low * loop.body.cost) + loop.next.cost + frame.cost);
    }
    return this.intern(key, { type: "loop", loop, turns: sorted, cost, id: this.ids++, near: undefined, surplus: 0 });
  }

  /**
   * The frame with all counts of turns capped at what one token can reach. A turn takes at least one byte, so a token
   * cannot distinguish bounds that are further away than its length. States that differ only in such bounds share their
   * masks.
   */
  withinToken(frame: Frame): Frame {
    if (frame.near !== undefined) return frame.near;
    // Iterates from the outermost frame: stacks can be deeper than the machine's own.
    const open = [frame];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const missing = parentsOf(top).filter((parent) => parent.near === undefined);
      if (missing.length > 0) open.push(...missing);
      else {
        if (top.near === undefined) this.settleNear(top);
        open.pop();
      }
    }
    return frame.near ?? frame;
  }

  private settleNear(frame: Frame): void {
    if (frame.type === "root") frame.near = frame;
    else if (frame.type === "call") {
      frame.surplus = frame.returns.reduce((most, each) => Math.max(most, each.frame.surplus), 0);
      const isSame = frame.returns.every((each) => each.frame.near === each.frame);
      frame.near = isSame
        ? frame
        : this.call(uniqueReturns(frame.returns.map((each) => ({ ...each, frame: each.frame.near ?? each.frame }))));
    } else {
      const near: Turns[] = [];
      let isSame = true;
      for (const { low, high, frame: parent } of frame.turns) {
        const [nearLow, nearHigh] = [Math.min(low, farTurns), high >= farTurns ? Infinity : high];
        isSame &&= nearLow === low && nearHigh === high && parent.near === parent;
        addTurns(near, { low: nearLow, high: nearHigh, frame: parent.near ?? parent });
        const cut = nearLow === low ? 0 : (low - nearLow) * frame.loop.body.cost;
        frame.surplus = Math.max(frame.surplus, cut + parent.surplus);
      }
      frame.near = isSame ? frame : this.loop(frame.loop, near);
    }
    if (frame.near !== undefined) frame.near.near ??= frame.near;
  }

  private intern(key: string, frame: Frame): Frame {
    this.known.set(key, frame);
    return frame;
  }
}

/** Adds turns to those of one repetition, merging adjacent numbers into ranges. True if anything was added. */
export const addTurns = <T extends { readonly low: number; readonly high: number; readonly frame: unknown }>(
  turns: T[],
  added: T,
): boolean => {
  let { low, high } = added;
  for (let index = turns.length - 1; index >= 0; index--) {
    const other = turns[index];
    if (other === undefined || other.frame !== added.frame) continue;
    if (other.low <= low && other.high >= high) return false;
    if (other.low > high + 1 || low > other.high + 1) continue;
    low = Math.min(low, other.low);
    high = Math.max(high, other.high);
    turns.splice(index, 1);
  }
  turns.push({ ...added, low, high });
  return true;
};

const uniqueReturns = (returns: ReadonlyArray<Return>): ReadonlyArray<Return> => {
  const unique = new Map(returns.map((each) => [`${each.place.id}.${each.frame.id}`, each] as const));
  return [...unique.values()];
};

const parentsOf = (frame: Frame): ReadonlyArray<Frame> => {
  if (frame.type === "root") return [];
  return (frame.type === "call" ? frame.returns : frame.turns).map((each) => each.frame);
};

/** More turns than any token can contain, including the one that it finishes. */
const farTurns = longestToken + 1;
