/**
 * Decides when sequences are drafted for, and drafts.
 *
 * A verification gives a sequence the tokens of its draft that are right and one more, and costs more than a plain step.
 * Both are known from what was measured: of each sequence how often the next token is the one foretold, of the machine
 * how long steps take (pace.ts). So it drafts where that gives more tokens in the same time: Leviathan et al. 2023, "Fast
 * Inference from Transformers via Speculative Decoding", section 3.
 */
import type { SpeculationMode } from "../protocol.ts";
import type { Sequence } from "../sequence.ts";
import { assumedRatio, Pace } from "./pace.ts";
import { PromptLookup } from "./prompt-lookup.ts";
import type { Drafts } from "./verification.ts";

/** What is known of a sequence. */
interface Foresight {
  readonly lookup: PromptLookup;
  /** Output tokens that were foretold right and wrong; older ones count less. */
  right: number;
  wrong: number;
}

interface TimedStep {
  readonly rows: number;
  /** Tokens a row. */
  readonly width: number;
  /** Milliseconds of the clock that `begin` is told. */
  readonly since: number;
}

type Rows = ReadonlyArray<Sequence | undefined>;

export class Speculator {
  private readonly mode: Exclude<SpeculationMode, "off">;
  private readonly pace = new Pace();
  private readonly known = new WeakMap<Sequence, Foresight>();
  private step: TimedStep | undefined;

  constructor(mode: Exclude<SpeculationMode, "off">) {
    this.mode = mode;
  }

  /** A step begins: the one before has taken until now. */
  begin(now: number): void {
    const { step } = this;
    this.step = undefined;
    if (step === undefined) return;
    if (step.width === 1) this.pace.addPlain(step.rows, now - step.since);
    else this.pace.addVerified(step.rows, step.width, now - step.since);
  }

  /** This step's time tells what such a step costs; undefined: it does not. */
  time(step: TimedStep | undefined): void {
    this.step = step;
  }

  /** Of each row its draft, of so many tokens at most. The tokens of all rows are read. */
  draft(rows: Rows, most: number): Drafts {
    return rows.map((sequence) => {
      if (sequence === undefined || sequence.draftRoom === 0) return [];
      const { lookup } = this.foresight(sequence);
      return lookup.length < knownTokens(sequence) ? [] : lookup.draft(Math.min(most, sequence.draftRoom));
    });
  }

  /** How long drafts should be, as far as tokens are known: to draft, the last ones have to be read early. 0: not now. */
  draftTokens(rows: Rows): number {
    const drafting = rows.flatMap((sequence) => {
      if (sequence === undefined || sequence.draftRoom <= 0) return [];
      const { lookup, right, wrong } = this.foresight(sequence);
      if (!lookup.hasMatch || lookup.length < knownTokens(sequence)) return [];
      return [{ chance: (right + 1) / (right + wrong + 2), room: sequence.draftRoom, ahead: sequence.unread ? 1 : 0 }];
    });
    if (drafting.length === 0) return 0;
    if (this.mode === "always") return mostDraftTokens;
    if (!this.pace.isKnown(rows.length)) return 0;
    const live = rows.filter((sequence) => sequence !== undefined).length;
    /** Tokens for one of plain decoding in the same time. */
    const gain = (tokens: number, ratio: number): number => {
      const accepted = drafting.map(({ chance, room, ahead }) => acceptedTokens(chance, Math.min(tokens, room), ahead));
      return (live + accepted.reduce((sum, each) => sum + each, 0)) / live / ratio;
    };
    const best = (ratio: (width: number) => number): { readonly tokens: number; readonly gain: number } =>
      draftSizes
        .map((tokens) => ({ tokens, gain: gain(tokens, ratio(tokens + 1)) }))
        .reduce((a, b) => (b.gain > a.gain ? b : a));
    const measured = best((width) => this.pace.ratio(rows.length, width));
    if (measured.gain >= leastGain) return measured.tokens;
    const hoped = best(assumedRatio);
    return hoped.gain >= leastGain && this.pace.retries(rows.length) ? hoped.tokens : 0;
  }

  /** Takes in what has become known of the sequence. */
  private foresight(sequence: Sequence): Foresight {
    const known = this.known.get(sequence) ?? { lookup: new PromptLookup(), right: 0, wrong: 0 };
    this.known.set(sequence, known);
    const { lookup } = known;
    const { promptTokenIds: prompt, outputTokenIds: output } = sequence;
    const until = Math.min(knownTokens(sequence), lookup.length + mostIndexedTokens);
    for (let index = lookup.length; index < until; index++) {
      const token = index < prompt.length ? prompt[index] : output[index - prompt.length];
      const foretold = lookup.push(token ?? 0);
      // How a prompt repeats itself tells little of its answer.
      if (foretold === undefined || index < prompt.length) continue;
      known.right = memory * known.right + (foretold ? 1 : 0);
      known.wrong = memory * known.wrong + (foretold ? 0 : 1);
    }
    return known;
  }
}

const knownTokens = ({ promptTokenIds, outputTokenIds }: Sequence): number =>
  promptTokenIds.length + outputTokenIds.length;

/**
 * Expected tokens of a draft that are right.
 *
 * @param ahead tokens that have to be right before it begins
 */
const acceptedTokens = (chance: number, tokens: number, ahead: number): number => {
  let sum = 0;
  for (let token = 1; token <= tokens; token++) sum += chance ** (token + ahead);
  return sum;
};

/** Few sizes, so that each is measured soon. */
const draftSizes = [2, 4, 8];
const mostDraftTokens = 8;

/** To draft is to wait for each step's tokens, which measures may not show to the full. */
const leastGain = 1.1;

/** A long prompt is indexed over several steps, none of which it holds up. */
const mostIndexedTokens = 4096;

/** How much of what was known of a sequence is left after one more token. */
const memory = 0.95;
