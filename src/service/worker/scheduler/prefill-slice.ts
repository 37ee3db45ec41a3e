/** Computes one slice of prompts and its results: prompt logprobs, vectors, the first output tokens. */
import type { Model } from "../architectures/Model.ts";
import { device, mx, type Tensor } from "../mlx.ts";
import { logprobTensors, readLogprobs } from "../sampling/logprobs.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { TokenChooser } from "./choose-tokens.ts";
import type { EmbeddingPool } from "./embedding-pool.ts";
import type { StepEvents } from "./events.ts";
import type { Prefill } from "./prefill.ts";
import { mostTokensAtOnce } from "./slice-pace.ts";

export class PrefillSlicer {
  private readonly model: Model;
  private readonly chooser: TokenChooser;
  private readonly events: StepEvents;

  constructor(model: Model, chooser: TokenChooser, events: StepEvents) {
    this.model = model;
    this.chooser = chooser;
    this.events = events;
  }

  /**
   * Starts computing the next slice.
   *
   * @param wanted the number of prompt tokens to compute, for all rows together
   * @returns the number of tokens in the slice
   */
  start(prefill: Prefill, wanted: number): number {
    prefill.slices += 1;
    const { rows, cache, columns, pool } = prefill;
    const done = cache.end;
    const scored = rows.find((sequence) => sequence?.promptLogprobs === true);
    const width = this.widthOf(prefill, wanted, scored !== undefined);
    const hidden = this.chooser.forward(prefill.tokens.index(mx.Slice(), mx.Slice(done, done + width)), cache, rows);
    for (const { id } of prefill.sequences) this.events.add({ type: "progress", sequence: id });
    if (scored !== undefined) this.scorePrompt(scored, hidden, done);
    pool?.add(hidden, done);
    if (cache.end < columns) {
      mx.asyncEval(...cache.arrays, ...(pool?.arrays ?? []));
    } else if (pool !== undefined) {
      this.tellVectors(rows, pool);
      prefill.ended = true;
    } else {
      prefill.chosen = this.chooser.chooseAfter(hidden, width - 1, rows, undefined);
    }
    return width * rows.length;
  }

  /** The number of columns in the next slice. */
  private widthOf({ rows, cache, columns }: Prefill, wanted: number, scored: boolean): number {
    const tokens = Math.min(wanted, mostTokensAtOnce(scoredHeads(this.model), columns));
    const most = scored ? Math.min(tokens, maxScoredLogits / this.model.vocabularySize) : tokens;
    return Math.max(1, Math.min(columns - cache.end, Math.floor(most / rows.length)));
  }

  /**
   * Reports the logprobs of the prompt tokens after this slice's tokens. It works slice by slice because of the memory
   * that logits take.
   */
  private scorePrompt({ id, promptTokenIds, topLogprobs }: Sequence, hidden: Tensor, done: number): void {
    const [, width = 0, size = 0] = hidden.shape;
    const following = promptTokenIds.slice(done + 1, done + 1 + width);
    if (following.length === 0) return;
    const states = hidden.index(mx.Slice(), mx.Slice(0, following.length), mx.Slice()).reshape(following.length, size);
    const logits = this.model.logits(states).astype(mx.float32);
    const logprobs = readLogprobs(logprobTensors(logits, mx.array(following, mx.int32), topLogprobs ?? 0));
    this.events.add({ type: "prompt", sequence: id, logprobs });
  }

  /** Waits for the device. */
  private tellVectors(rows: Prefill["rows"], pool: EmbeddingPool): void {
    const vectors = pool.vectors(rows.map((sequence) => sequence !== undefined));
    for (const [row, sequence] of rows.entries()) {
      const vector = vectors[row];
      if (sequence !== undefined && vector !== undefined) {
        this.events.add({ type: "embedding", sequence: sequence.id, vector });
      }
    }
  }
}

/**
 * The number of heads whose scores are in memory at once. Metal's fused kernel keeps scores in registers, but the mask
 * still takes memory.
 */
const scoredHeads = ({ attentionHeads, scoreArrays, cacheShape }: Model): number => {
  const isFused = device === "metal" && scoreArrays === undefined && fusedHeadDims.has(cacheShape.headDim);
  return isFused ? 1 : attentionHeads * (scoreArrays ?? 1);
};

/**
 * Head sizes of MLX's kernel for many queries: `supported_head_dim` in
 * mlx/backend/metal/scaled_dot_product_attention.cpp.
 */
const fusedHeadDims: ReadonlySet<number> = new Set([64, 80, 128]);

/**
 * The most prompt logits that are computed together: 16 MiB, of which several copies may be alive until a collection.
 */
const maxScoredLogits = 2 ** 22;
