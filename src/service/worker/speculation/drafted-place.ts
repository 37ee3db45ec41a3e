/** A place in a sequence for which a token is chosen in advance, assuming that the draft is right up to there. */
import type { SequenceSampling } from "../protocol/submit-message.ts";
import type { SamplingRow } from "../sampling/sampling.ts";
import type { Sequence } from "../sequence/sequence.ts";

export class DraftedPlace implements SamplingRow {
  readonly sampling: SequenceSampling;
  readonly chosenTokens: number;
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly topLogprobs: number | undefined;
  readonly adapterSlot: number;
  private readonly sequence: Sequence;
  private readonly assumed: ReadonlyArray<number>;

  /** @param assumed the draft's tokens before this place */
  constructor(sequence: Sequence, assumed: ReadonlyArray<number>) {
    this.sequence = sequence;
    this.assumed = assumed;
    this.sampling = sequence.sampling;
    this.chosenTokens = sequence.chosenTokens + assumed.length;
    this.promptTokenIds = sequence.promptTokenIds;
    this.topLogprobs = sequence.topLogprobs;
    this.adapterSlot = sequence.adapterSlot;
  }

  /** Computed only if penalties need it. */
  get outputTokenIds(): ReadonlyArray<number> {
    return [...this.sequence.outputTokenIds, ...this.assumed];
  }

  get forbidden(): ReadonlyArray<number> {
    return this.sequence.forbiddenAfter(this.chosenTokens);
  }
}
