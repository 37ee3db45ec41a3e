/**
 * Chooses the next token of every row of a batch, each with its own parameters and seed, within the graph.
 *
 * Order and meaning follow mlx-lm: bias, then penalties on the logits; then top_p, min_p and top_k on the distribution
 * at temperature 1; then the temperature. A token is drawn by inverting the cumulative distribution with one uniform
 * number per row. That avoids noise of the vocabulary's size, and makes the draw depend on seed and place only.
 */
import { all, mx, type Tensor } from "../mlx.ts";
import type { SequenceSampling } from "../protocol/submit-message.ts";
import { prefixSums } from "./prefix-sums.ts";
import { uniform } from "./random.ts";

export interface SamplingRow {
  readonly sampling: SequenceSampling;
  /** How many output tokens precede this one. */
  readonly chosenTokens: number;
  readonly promptTokenIds: ReadonlyArray<number>;
  /** The output tokens whose ids are known: all except, possibly, the last. */
  readonly outputTokenIds: ReadonlyArray<number>;
  /** Tokens that must not be chosen here. */
  readonly forbidden: ReadonlyArray<number>;
}

/** How many tokens the repetition penalty looks at, as in mlx-lm. */
const repetitionContext = 20;

/** Sorting a large vocabulary costs more than a step of a small model, so filters only look at this many candidates. */
const maxCandidates = 1024;

/**
 * The distribution at temperature 1 that tokens are drawn from and that logprobs describe.
 *
 * @param logits float32 [rows, vocabulary]
 * @param previous int32 [rows], the token that was just fed to each row and whose id may not have been read yet
 * @returns float32 [rows, vocabulary]
 */
export const adjustLogits = (logits: Tensor, rows: ReadonlyArray<SamplingRow>, previous: Tensor | undefined): Tensor =>
  forbid(penalize(addBias(logits, rows), rows, previous), rows);

/**
 * @param adjusted the result of `adjustLogits`
 * @returns int32 [rows]
 */
export const drawTokens = (adjusted: Tensor, rows: ReadonlyArray<SamplingRow>): Tensor => {
  const greedy = mx.argmax(adjusted, -1).astype(mx.int32);
  if (rows.every(({ sampling }) => sampling.temperature === 0)) return greedy;
  const draws = column(rows.map(({ sampling, chosenTokens }) => uniform(sampling.seed, chosenTokens)));
  const inverseTemperature = column(rows.map(({ sampling }) => 1 / (sampling.temperature || 1)));
  const filtered = rows.map(({ sampling }) => hasFilter(sampling));
  let sampled: Tensor;
  if (filtered.every(Boolean)) sampled = drawFiltered(adjusted, rows, draws, inverseTemperature);
  else if (!filtered.some(Boolean)) sampled = drawAny(adjusted, draws, inverseTemperature);
  else {
    sampled = mx.where(
      mx.greater(mx.array(filtered.map(Number), mx.int32), 0),
      drawFiltered(adjusted, rows, draws, inverseTemperature),
      drawAny(adjusted, draws, inverseTemperature),
    );
  }
  const isGreedy = mx.array(
    rows.map(({ sampling }) => Number(sampling.temperature === 0)),
    mx.int32,
  );
  return mx.where(mx.greater(isGreedy, 0), greedy, sampled);
};

const hasFilter = ({ topP, topK, minP }: SequenceSampling): boolean => topP < 1 || topK > 0 || minP > 0;

const column = (values: ReadonlyArray<number>): Tensor => mx.array([...values], mx.float32).reshape(values.length, 1);

/**
 * Inverts the cumulative distribution: returns the number of entries whose cumulative weight does not exceed the draw.
 */
const invert = (weights: Tensor, draws: Tensor): Tensor => {
  const cumulative = prefixSums(weights);
  const [, size = 0] = weights.shape;
  const total = cumulative.index("...", mx.Slice(size - 1, size));
  const below = mx.lessEqual(cumulative, mx.multiply(draws, total)).astype(mx.int32);
  return mx.minimum(mx.sum(below, -1), size - 1).astype(mx.int32);
};

const drawAny = (logits: Tensor, draws: Tensor, inverseTemperature: Tensor): Tensor => {
  const shifted = mx.subtract(logits, mx.max(logits, -1, true));
  return invert(mx.exp(mx.multiply(shifted, inverseTemperature)), draws);
};

const drawFiltered = (
  logits: Tensor,
  rows: ReadonlyArray<SamplingRow>,
  draws: Tensor,
  inverseTemperature: Tensor,
): Tensor => {
  const [, vocabulary = 0] = logits.shape;
  const size = Math.min(vocabulary, maxCandidates);
  const logprobs = mx.subtract(logits, mx.logsumexp(logits, -1, true));
  const candidates = topCandidates(logprobs, size);
  const sorted = mx.takeAlongAxis(logprobs, candidates, -1);
  const probabilities = mx.exp(sorted);
  const before = mx.subtract(prefixSums(probabilities), probabilities);
  const best = sorted.index("...", mx.Slice(0, 1));
  const minLogprob = mx.add(
    best,
    column(rows.map(({ sampling }) => (sampling.minP > 0 ? Math.log(sampling.minP) : -1e9))),
  );
  const rank = mx.arange(0, size, 1, mx.float32).reshape(1, size);
  const kept = mx.logicalAnd(
    mx.logicalAnd(
      mx.less(before, column(rows.map(({ sampling }) => (sampling.topP < 1 ? sampling.topP : 2)))),
      mx.greaterEqual(sorted, minLogprob),
    ),
    mx.less(rank, column(rows.map(({ sampling }) => sampling.topK || size))),
  );
  const weights = mx.where(kept, mx.exp(mx.multiply(mx.subtract(sorted, best), inverseTemperature)), 0);
  const choice = invert(weights, draws);
  const chosen = mx.takeAlongAxis(candidates, choice.reshape(rows.length, 1), -1);
  return chosen.index(all, 0).astype(mx.int32);
};

/** Indices of the most likely tokens, best first; [rows, size]. */
export const topCandidates = (logprobs: Tensor, size: number): Tensor => {
  const [, vocabulary = 0] = logprobs.shape;
  const descending = mx.multiply(logprobs, -1);
  if (size === vocabulary) return mx.argsort(descending, -1);
  const partition = mostLikely(descending, size);
  return mx.takeAlongAxis(partition, mx.argsort(mx.takeAlongAxis(descending, partition, -1), -1), -1);
};

/**
 * The same in no particular order, of negative logprobs. A GPU partitions by sorting, so the vocabulary is not
 * partitioned as a whole: the best `size` tokens are in the `size` groups with the best maxima.
 */
const mostLikely = (descending: Tensor, size: number): Tensor => {
  const [rows = 0, vocabulary = 0] = descending.shape;
  const partitioned = (values: Tensor): Tensor =>
    mx
      .argpartition(values, size - 1, -1)
      .index("...", mx.Slice(0, size))
      .astype(mx.int32);
  const groupSize = groupSizeFor(vocabulary, size);
  if (groupSize === 1) return partitioned(descending);
  const best = mx.max(mx.multiply(descending, -1).reshape(rows, vocabulary / groupSize, groupSize), -1);
  const firsts = mx.multiply(partitioned(mx.multiply(best, -1)), groupSize).reshape(rows, size, 1);
  const ids = mx.add(firsts, mx.arange(0, groupSize, 1, mx.int32)).reshape(rows, size * groupSize);
  return mx.takeAlongAxis(ids, partitioned(mx.takeAlongAxis(descending, ids, -1)), -1);
};

/**
 * The number of tokens in a group, chosen so that both the groups and the tokens of the best groups are few; 1 if
 * groups do not pay off.
 */
const groupSizeFor = (vocabulary: number, size: number): number => {
  const [best = 1] = [32, 16, 8, 4].filter((group) => vocabulary % group === 0 && 2 * size * group <= vocabulary);
  return best;
};

/** Applies penalties row by row; rows without any are left alone. */
const penalize = (logits: Tensor, rows: ReadonlyArray<SamplingRow>, previous: Tensor | undefined): Tensor => {
  if (!rows.some(({ sampling }) => hasPenalty(sampling))) return logits;
  return mx.concatenate(
    rows.map((row, index) => {
      const own = logits.index(mx.Slice(index, index + 1), "...");
      if (!hasPenalty(row.sampling)) return own;
      return penalizeRow(own, row, previous?.index(mx.Slice(index, index + 1)));
    }),
    0,
  );
};

const hasPenalty = ({ repetitionPenalty, presencePenalty, frequencyPenalty }: SequenceSampling): boolean =>
  repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;

/** @param logits [1, vocabulary] */
const penalizeRow = (logits: Tensor, row: SamplingRow, previous: Tensor | undefined): Tensor => {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = row.sampling;
  const unknown = row.chosenTokens > row.outputTokenIds.length && previous !== undefined ? [previous] : [];
  let adjusted = logits;
  if (repetitionPenalty !== 1) {
    const known = [...row.promptTokenIds.slice(-repetitionContext), ...row.outputTokenIds.slice(-repetitionContext)];
    const recent = occurrences(logits, known.slice(-(repetitionContext - unknown.length)), unknown);
    const penalized = mx.where(
      mx.less(logits, 0),
      mx.multiply(logits, repetitionPenalty),
      mx.divide(logits, repetitionPenalty),
    );
    adjusted = mx.where(mx.greater(recent, 0), penalized, adjusted);
  }
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    const counts = occurrences(logits, row.outputTokenIds, unknown);
    const present = mx.greater(counts, 0).astype(mx.float32);
    adjusted = mx.subtract(
      adjusted,
      mx.add(mx.multiply(counts, frequencyPenalty), mx.multiply(present, presencePenalty)),
    );
  }
  return adjusted;
};

/** How often each token of the vocabulary occurs; float32 [1, vocabulary]. */
const occurrences = (logits: Tensor, known: ReadonlyArray<number>, unknown: ReadonlyArray<Tensor>): Tensor => {
  const parts = [...(known.length > 0 ? [mx.array([...known], mx.int32)] : []), ...unknown];
  const zeros = mx.multiply(logits, 0);
  if (parts.length === 0) return zeros;
  const ids = parts.length === 1 && parts[0] !== undefined ? parts[0] : mx.concatenate(parts, 0);
  const rowOfEach = mx.zeros([ids.size], mx.int32);
  return mx.addAt(zeros, rowOfEach, ids, 1);
};

const addBias = (logits: Tensor, rows: ReadonlyArray<SamplingRow>): Tensor =>
  addEach(
    logits,
    rows.flatMap(({ sampling }, row) => sampling.logitBias.map(({ tokenId, bias }) => [row, tokenId, bias] as const)),
  );

const forbid = (logits: Tensor, rows: ReadonlyArray<SamplingRow>): Tensor =>
  addEach(
    logits,
    rows.flatMap(({ forbidden }, row) => forbidden.map((tokenId) => [row, tokenId, -1e9] as const)),
  );

const addEach = (
  logits: Tensor,
  additions: ReadonlyArray<readonly [row: number, tokenId: number, value: number]>,
): Tensor => {
  if (additions.length === 0) return logits;
  const rowOfEach = mx.array(
    additions.map(([row]) => row),
    mx.int32,
  );
  const ids = mx.array(
    additions.map(([, tokenId]) => tokenId),
    mx.int32,
  );
  const values = mx.array(
    additions.map(([, , value]) => value),
    mx.float32,
  );
  return mx.addAt(logits, rowOfEach, ids, values);
};
