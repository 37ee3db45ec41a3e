/**
 * Computes which tokens may come next in constrained output: those that the grammar allows and that leave enough room
 * to reach an end.
 */
import type { Grammar } from "../protocol/constraint.ts";
import { Automaton, type State } from "./automaton.ts";
import { maskDigest } from "./shared-masks.ts";
import type { TokenTrie } from "./token-trie.ts";
import type { WorkLimit } from "./work-limit.ts";

export interface TokenMask {
  /** One bit per token. */
  readonly words: Int32Array;
  /** Equal masks have equal digests. */
  readonly digest: string;
  readonly isEmpty: boolean;
}

interface KnownMask extends TokenMask {
  /** The most bytes to an end after any of its tokens. */
  readonly highest: number;
  /** The fewest bytes to an end after any token of the vocabulary; Infinity if no token can follow. */
  readonly least: number;
}

export class TokenMasks {
  private readonly automaton: Automaton;
  private readonly trie: TokenTrie;
  /** By the states' rows; least recently used first. */
  private readonly known = new Map<number, KnownMask>();
  private readonly words: number;
  private era = 0;

  constructor(grammar: Grammar, trie: TokenTrie, vocabularySize: number, limit: WorkLimit) {
    this.automaton = new Automaton(grammar, limit);
    this.trie = trie;
    this.words = Math.ceil(vocabularySize / 32);
  }

  get bytes(): number {
    return this.automaton.bytes + this.known.size * this.words * 4;
  }

  beginning(limit: WorkLimit): State {
    return this.automaton.beginning(limit);
  }

  /** Undefined if the bytes do not match. */
  after(state: State, bytes: Uint8Array, limit: WorkLimit): State | undefined {
    this.automaton.trim();
    return this.automaton.after(state, bytes, limit);
  }

  /**
   * @param state the state after the output so far
   * @param remainingTokens how many tokens may follow, the next one included
   * @returns the allowed tokens. A byte takes at most one token, so an end is reachable if it takes no more bytes than
   *   there are tokens left. If no token leaves such an end, those that come nearest to one are allowed.
   */
  maskAt(state: State, remainingTokens: number, limit: WorkLimit): TokenMask {
    this.automaton.trim();
    const { state: near, surplus } = this.automaton.withinToken(state);
    const left = Math.max(0, remainingTokens - 1);
    const known = this.knownMask(near, limit);
    return left >= known.highest + surplus ? known : this.maskThatEnds(state, left, limit);
  }

  private knownMask(state: State, limit: WorkLimit): KnownMask {
    if (this.era !== this.automaton.era) this.known.clear();
    this.era = this.automaton.era;
    const known = this.known.get(state.row);
    this.known.delete(state.row);
    const made = known ?? this.walk(state, Infinity, limit);
    this.known.set(state.row, made);
    const [oldest] = this.known.keys();
    if (this.known.size > maxMasks && oldest !== undefined) this.known.delete(oldest);
    return made;
  }

  private maskThatEnds(from: State, left: number, limit: WorkLimit): TokenMask {
    const state = this.automaton.current(from);
    const mask = this.walk(state, left, limit);
    // If the output may end now, no token has to be allowed that leaves no room.
    return mask.least <= left || state.cost === 0 ? mask : this.walk(state, mask.least, limit);
  }

  /** All tokens that can follow and after which an end takes at most this many bytes. */
  private walk(from: State, mostBytes: number, limit: WorkLimit): KnownMask {
    const { automaton } = this;
    const { classOf } = automaton;
    const { bytes, depths, skips, tokens, twins } = this.trie;
    const words = new Int32Array(this.words);
    const path = new Int32Array(256);
    path[0] = from.row;
    let { rows, width, costs } = automaton.table;
    let highest = 0;
    let least = Infinity;
    const size = bytes.length;
    for (let node = 0; node < size;) {
      const depth = depths[node] as number;
      const before = path[depth - 1] as number;
      let row = rows[before * width + (classOf[bytes[node] as number] as number)] as number;
      if (row === 0) {
        const at = automaton.stateOf(before);
        row = at === undefined ? -1 : (automaton.step(at, bytes[node] as number, limit)?.row ?? -1);
        ({ rows, width, costs } = automaton.table);
      }
      if (row < 0) {
        node = skips[node] as number;
        continue;
      }
      path[depth] = row;
      let token = tokens[node] as number;
      node += 1;
      if (token < 0) continue;
      const cost = costs[row] as number;
      if (cost < least) least = cost;
      if (cost > mostBytes) continue;
      if (cost > highest) highest = cost;
      for (; token >= 0; token = twins[token] as number)
        words[token >>> 5] = (words[token >>> 5] as number) | (1 << (token & 31));
    }
    return { words, digest: maskDigest(words), isEmpty: words.every((word) => word === 0), highest, least };
  }
}

/** For one grammar; a mask of 150,000 tokens takes 19 kB. */
const maxMasks = 256;
