/**
 * Decides when to draft, and drafts.
 *
 * A verification gives a sequence the accepted tokens of its draft and one more, and costs more than a plain step. Both
 * sides are measured: for each sequence, how often the next token is the predicted one, by prompt lookup or by the
 * draft model; for the machine, how long steps take (pace.ts). It drafts if that gives more tokens in the same time:
 * Leviathan et al. 2023, "Fast Inference from Transformers via Speculative Decoding", section 3.
 */
import type { Tensor } from "../mlx.ts";
import type { SpeculationMode } from "../protocol/to-worker.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { DraftModel } from "./draft-model.ts";
import { assumedRatio, type DraftSource, Pace } from "./pace.ts";
import { PromptLookup } from "./prompt-lookup.ts";
import type { Drafts } from "./verification.ts";

/** What is known about a sequence's predictability. */
interface Foresight {
  readonly lookup: PromptLookup;
  /** How many output tokens were predicted right and wrong; older ones count less. */
  right: number;
  wrong: number;
}

/** How to draft. */
export interface DraftPlan {
  readonly source: DraftSource;
  /** The most tokens of each draft. */
  readonly tokens: number;
}

/** A step to measure. A step of one token per row has no source. */
interface TimedStep {
  readonly rows: number;
  /** Tokens per row. */
  readonly width: number;
  readonly source?: DraftSource;
  /** Milliseconds of the clock that `begin` is given. */
  readonly since: number;
}

/** A sequence that could be drafted for. */
interface Prospect {
  /** The probability that a token of its draft is right if all before it are. */
  readonly chance: number;
  readonly room: number;
  /** How many tokens have to be right before the draft begins. */
  readonly ahead: number;
}

type Rows = ReadonlyArray<Sequence | undefined>;

export class Speculator {
  private readonly mode: Exclude<SpeculationMode, "off">;
  private readonly model: DraftModel | undefined;
  private readonly pace = new Pace();
  private readonly known = new WeakMap<Sequence, Foresight>();
  private step: TimedStep | undefined;
  /** Whether this step computes part of a prompt with the draft model. */
  private advances = false;

  /** @param model drafts for sequences that prompt lookup predicts less well */
  constructor(mode: Exclude<SpeculationMode, "off">, model?: DraftModel) {
    this.mode = mode;
    this.model = model;
  }

  get kvCacheBytes(): number {
    return this.model?.kvCacheBytes ?? 0;
  }

  /** The tensors that the draft model needs in later steps. */
  get tensors(): ReadonlyArray<Tensor> {
    return this.model?.tensors ?? [];
  }

  /** A step begins; the previous one has taken until now. */
  begin(now: number): void {
    const { step } = this;
    this.step = undefined;
    if (step === undefined) return;
    if (step.source === undefined) this.pace.addPlain(step.rows, now - step.since);
    else this.pace.addVerified(step.rows, step.width, step.source, now - step.since);
  }

  /** This step's time measures a step of this kind; undefined: it measures nothing. */
  time(step: TimedStep | undefined): void {
    this.step = this.advances ? undefined : step;
  }

  /** These rows and no others are decoded from now on: the draft model catches up with sequences that are new to it. */
  prepare(rows: Rows): void {
    const { model } = this;
    this.advances = false;
    if (model === undefined) return;
    const sequences = new Set(rows.filter((sequence) => sequence !== undefined));
    model.retain(sequences);
    // A sequence that repeats itself does not need the draft model.
    const missing = [...sequences].filter(
      (sequence) => !model.isInStep(sequence) && !this.foresight(sequence).lookup.hasMatch,
    );
    this.advances = missing.length > 0 && this.mayPay(rows.length, model, missing) && model.advance(missing);
  }

  /** The draft of each row. Requires that the tokens of all rows were read. */
  draft(rows: Rows, { source, tokens }: DraftPlan): Drafts {
    const proposed = source === "model" ? this.model?.propose(rows, tokens) : undefined;
    return rows.map((sequence, row) => {
      if (sequence === undefined || sequence.draftRoom === 0) return [];
      const { lookup, ...record } = this.foresight(sequence);
      const own = proposed?.[row] ?? [];
      const isOwn = own.length > 0 && (this.model?.chance(sequence) ?? 0) >= chanceOf(record);
      if (isOwn || lookup.length < knownTokens(sequence) || !lookup.hasMatch) return own.slice(0, sequence.draftRoom);
      return lookup.draft(Math.min(tokens, sequence.draftRoom));
    });
  }

  /**
   * Whether drafts are likely to pay off, judging from the tokens that are known: drafting itself requires the last
   * ones to be read early. Undefined: not now.
   */
  plan(rows: Rows): DraftPlan | undefined {
    const lookup = this.lookupProspects(rows);
    const modelled = this.modelProspects(rows);
    if (lookup.length === 0 && modelled.length === 0) return undefined;
    if (this.mode === "always") {
      return modelled.length > 0
        ? { source: "model", tokens: modelDraftTokens }
        : { source: "lookup", tokens: mostDraftTokens };
    }
    if (!this.pace.isKnown(rows.length)) return undefined;
    const live = rows.filter((sequence) => sequence !== undefined).length;
    const best = (ratio: (width: number, source: DraftSource) => number) =>
      [
        ...draftSizes.map((tokens) => ({ source: "lookup" as const, tokens, prospects: lookup })),
        ...draftSizes.map((tokens) => ({ source: "model" as const, tokens, prospects: modelled })),
      ]
        .map(({ source, tokens, prospects }) => ({
          source,
          tokens,
          gain: gainOf(live, prospects, tokens) / ratio(tokens + 1, source),
        }))
        .reduce((a, b) => (b.gain > a.gain ? b : a));
    const measured = best((width, source) => this.pace.ratio(rows.length, width, source));
    if (measured.gain >= leastGain) return measured;
    for (const sequence of rows) if (sequence !== undefined) this.model?.fade(sequence);
    const hoped = best(assumedRatio);
    return hoped.gain >= leastGain && this.pace.retries(rows.length) ? hoped : undefined;
  }

  private lookupProspects(rows: Rows): ReadonlyArray<Prospect> {
    return rows.flatMap((sequence) => {
      if (sequence === undefined || sequence.draftRoom <= 0) return [];
      const { lookup, ...record } = this.foresight(sequence);
      if (!lookup.hasMatch || lookup.length < knownTokens(sequence)) return [];
      return [{ chance: chanceOf(record), room: sequence.draftRoom, ahead: sequence.unread ? 1 : 0 }];
    });
  }

  private modelProspects(rows: Rows): ReadonlyArray<Prospect> {
    const { model } = this;
    if (model === undefined) return [];
    return rows.flatMap((sequence) => {
      if (sequence === undefined || sequence.draftRoom <= 0 || !model.isInStep(sequence)) return [];
      return [{ chance: model.chance(sequence), room: sequence.draftRoom, ahead: 0 }];
    });
  }

  /**
   * Whether these sequences are worth catching up with the draft model: not if its drafts were measured to cost too
   * much.
   */
  private mayPay(rows: number, model: DraftModel, sequences: ReadonlyArray<Sequence>): boolean {
    if (this.mode === "always") return true;
    const prospects = sequences.map((sequence) => ({
      chance: model.chance(sequence),
      room: sequence.draftRoom,
      ahead: 0,
    }));
    const pays = (ratio: (width: number) => number): boolean =>
      draftSizes.some((tokens) => gainOf(prospects.length, prospects, tokens) / ratio(tokens + 1) >= leastGain);
    if (pays((width) => this.pace.ratio(rows, width, "model"))) return true;
    return pays((width) => assumedRatio(width, "model")) && this.pace.retries(rows);
  }

  /** Updates what is known about the sequence with its new tokens. */
  private foresight(sequence: Sequence): Foresight {
    const known = this.known.get(sequence) ?? { lookup: new PromptLookup(), right: 0, wrong: 0 };
    this.known.set(sequence, known);
    const { lookup } = known;
    const { promptTokenIds: prompt, outputTokenIds: output } = sequence;
    const until = Math.min(knownTokens(sequence), lookup.length + mostIndexedTokens);
    for (let index = lookup.length; index < until; index++) {
      const token = index < prompt.length ? prompt[index] : output[index - prompt.length];
      const foretold = lookup.push(token ?? 0);
      // How a prompt repeats itself says little about its answer.
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
 * The expected number of accepted tokens.
 *
 * @param ahead how many tokens have to be right before the draft begins
 */
const acceptedTokens = (chance: number, tokens: number, ahead: number): number => {
  let sum = 0;
  for (let token = 1; token <= tokens; token++) sum += chance ** (token + ahead);
  return sum;
};

/** The expected number of tokens of a verification, relative to a plain step. */
const gainOf = (live: number, prospects: ReadonlyArray<Prospect>, tokens: number): number => {
  const accepted = prospects.map(({ chance, room, ahead }) => acceptedTokens(chance, Math.min(tokens, room), ahead));
  return (live + accepted.reduce((sum, each) => sum + each, 0)) / live;
};

const chanceOf = ({ right, wrong }: Pick<Foresight, "right" | "wrong">): number => (right + 1) / (right + wrong + 2);

/** Few sizes, so that each is measured soon. */
const draftSizes = [2, 4, 8];
const mostDraftTokens = 8;
const modelDraftTokens = 4;

/** Drafting waits for each step's tokens, a cost that the measurements may not fully show. */
const leastGain = 1.1;

/** A long prompt is indexed over several steps, so that none is delayed. */
const mostIndexedTokens = 4096;

/** How much of what is known about a sequence remains after one more token. */
const memory = 0.95;
