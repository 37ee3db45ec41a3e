/**
 * Chooses the tokens that follow hidden states, within the graph: sampling, constraints, forced tokens and logprobs.
 */
import type { Model } from "../architectures/Model.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Constraints } from "../constraints/constraints.ts";
import { mx, type Tensor } from "../mlx.ts";
import { neutralSampling } from "../protocol/submit-message.ts";
import { type PendingLogprobs, tensorsOf, wantedLogprobs } from "../sampling/logprobs.ts";
import { adjustLogits, drawTokens } from "../sampling/sampling.ts";
import { force } from "../sequence/reasoning-limit.ts";
import { Sequence } from "../sequence/sequence.ts";
import type { DraftedPlace } from "../speculation/drafted-place.ts";

export interface ChosenTokens<Place> {
  /** int32 [places]: on the device, not read yet. */
  readonly next: Tensor;
  /** Logprobs of `next`, for the places that requested them. */
  readonly logprobs: ReadonlyArray<PendingLogprobs<Place>>;
  /** Rows whose constraint mask is not ready yet: their `next` is the token that they had before. */
  readonly resting: ReadonlySet<number>;
}

type Places<Place> = ReadonlyArray<Place | undefined>;

export class TokenChooser {
  private readonly model: Model;
  private readonly constraints: Constraints | undefined;

  constructor(model: Model, constraints: Constraints | undefined) {
    this.model = model;
    this.constraints = constraints;
  }

  /**
   * A forward pass with each row's adapter.
   *
   * @param tokens int32 [rows, columns]
   * @returns hidden states [rows, columns, hiddenSize]
   */
  forward(tokens: Tensor, cache: KVCache, rows: Places<Sequence>): Tensor {
    this.useAdapters(rows);
    return this.model.forward(tokens, cache);
  }

  /**
   * Chooses the token after one column of the hidden states, and counts it as chosen for each sequence that does not
   * rest.
   *
   * @param hidden [rows, columns, hiddenSize]
   * @param previous int32 [rows]: the tokens that were fed; undefined at the beginning of the output
   */
  chooseAfter(
    hidden: Tensor,
    column: number,
    rows: Places<Sequence>,
    previous: Tensor | undefined,
  ): ChosenTokens<Sequence> {
    const [count = 0, , size = 0] = hidden.shape;
    const last = hidden.index(mx.Slice(), mx.Slice(column, column + 1), mx.Slice()).reshape(count, size);
    const chosen = this.choose(last, rows, rows, previous);
    for (const [row, sequence] of rows.entries()) {
      if (sequence !== undefined && !chosen.resting.has(row)) sequence.chosenTokens += 1;
    }
    return chosen;
  }

  /**
   * Chooses a token at each place of drafts.
   *
   * @param hidden [places, hiddenSize]
   */
  chooseDrafted(hidden: Tensor, places: ReadonlyArray<Sequence | DraftedPlace>): ChosenTokens<Sequence | DraftedPlace> {
    this.useAdapters(places);
    const sequences = places.map((place) => (place instanceof Sequence ? place : undefined));
    return this.choose(hidden, places, sequences, undefined);
  }

  /**
   * @param hidden [places, hiddenSize]
   * @param places the sampling state for each token; undefined for a free row, whose token is never read
   * @param sequences the sequences among the places: only these may have forced tokens
   */
  private choose<Place extends Sequence | DraftedPlace>(
    hidden: Tensor,
    places: Places<Place>,
    sequences: Places<Sequence>,
    previous: Tensor | undefined,
  ): ChosenTokens<Place> {
    const sampled = places.map((place) => place ?? freeRow);
    const logits = adjustLogits(this.model.logits(hidden).astype(mx.float32), sampled, previous);
    const allowed = this.constraints?.apply(logits, previous, sequences) ?? { logits, resting: new Set<number>() };
    const { resting } = allowed;
    const withoutResting = <Row>(rows: Places<Row>): Places<Row> =>
      resting.size === 0 ? rows : rows.map((each, row) => (resting.has(row) ? undefined : each));
    const forced = force(drawTokens(allowed.logits, sampled), withoutResting(sequences));
    const isResting = (): Tensor => mx.array(places.map((_, row) => resting.has(row)));
    const next = resting.size === 0 || previous === undefined ? forced : mx.where(isResting(), previous, forced);
    const logprobs = wantedLogprobs(logits, next, withoutResting(places));
    mx.asyncEval(next, ...logprobs.flatMap(({ tensors }) => tensorsOf(tensors)));
    return { next, logprobs, resting };
  }

  /** Logits are computed with the same adapters as the hidden states. */
  private useAdapters(rows: Places<Sequence | DraftedPlace>): void {
    this.model.adapters.use(rows.map((each) => each?.adapterSlot ?? 0));
  }
}

/** Free rows are sampled greedily and never read. */
const freeRow = {
  sampling: neutralSampling,
  chosenTokens: 0,
  promptTokenIds: [],
  outputTokenIds: [],
  forbidden: [],
};
