/** Pools the hidden states of texts into vectors, slice by slice during their prefill. */
import { all, mx, type Tensor } from "../mlx.ts";
import type { EmbeddingRequest } from "../protocol/submit-message.ts";

/** A sequence that is embedded and not decoded. */
interface EmbeddedRow {
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly embedding: EmbeddingRequest | undefined;
}

export class EmbeddingPool {
  private readonly rows: ReadonlyArray<EmbeddedRow>;
  /** First column of each row's text: shorter ones are padded on the left. */
  private readonly starts: ReadonlyArray<number>;
  private readonly columns: number;
  /** [rows, size] each; undefined until a slice has contributed to it. */
  private sum: Tensor | undefined;
  private first: Tensor | undefined;
  private last: Tensor | undefined;

  constructor(rows: ReadonlyArray<EmbeddedRow>) {
    // Copied, because the caller removes cancelled rows from its own list.
    this.rows = [...rows];
    this.columns = Math.max(...rows.map(({ promptTokenIds }) => promptTokenIds.length));
    this.starts = rows.map(({ promptTokenIds }) => this.columns - promptTokenIds.length);
  }

  /** The arrays to evaluate with each slice. */
  get arrays(): ReadonlyArray<Tensor> {
    return [this.sum, this.first, this.last].filter((tensor) => tensor !== undefined);
  }

  /** @param hidden [rows, width, size], of the columns from `begin` on */
  add(hidden: Tensor, begin: number): void {
    const [count = 0, width = 0, size = 0] = hidden.shape;
    const states = hidden.astype(mx.float32);
    const columns = mx.arange(begin, begin + width, 1, mx.float32).reshape(1, width, 1);
    const starts = mx.array([...this.starts], mx.float32).reshape(count, 1, 1);
    // Selected instead of multiplied by 0, because the values of padding may be NaN.
    const summed = (those: Tensor): Tensor => mx.sum(mx.where(those, states, 0), 1);
    if (this.pools("mean")) this.sum = plus(this.sum, summed(mx.greaterEqual(columns, starts)));
    if (this.pools("first-token")) this.first = plus(this.first, summed(mx.equal(columns, starts)));
    if (begin + width === this.columns) {
      this.last = states.index(all, mx.Slice(width - 1, width), all).reshape(count, size);
    }
  }

  /** Call this after the last slice; waits for the device. Undefined for a row that is no longer wanted. */
  vectors(wanted: ReadonlyArray<boolean>): ReadonlyArray<Float32Array | undefined> {
    const made = this.rows.map((row, index) => (wanted[index] === true ? this.vector(row, index) : undefined));
    mx.eval(...made.filter((tensor) => tensor !== undefined));
    return made.map((tensor) => tensor && Float32Array.from((tensor.tolist() as number[][])[0] ?? []));
  }

  /** [1, size] */
  private vector({ embedding, promptTokenIds }: EmbeddedRow, index: number): Tensor | undefined {
    if (embedding === undefined) return undefined;
    const { pooling, dimensions, normalize } = embedding;
    const states = { "last-token": this.last, mean: this.sum, "first-token": this.first }[pooling];
    if (states === undefined) throw new RangeError(`nothing was pooled for ${pooling}`);
    const [, size = 0] = states.shape;
    const own = states.index(mx.Slice(index, index + 1), mx.Slice(0, Math.min(dimensions ?? size, size)));
    const pooled = pooling === "mean" ? mx.divide(own, promptTokenIds.length) : own;
    if (!normalize) return pooled;
    const norm = mx.power(mx.sum(mx.multiply(pooled, pooled), -1, true), 0.5);
    return mx.divide(pooled, mx.maximum(norm, 1e-12));
  }

  private pools(pooling: EmbeddingRequest["pooling"]): boolean {
    return this.rows.some(({ embedding }) => embedding?.pooling === pooling);
  }
}

const plus = (sum: Tensor | undefined, more: Tensor): Tensor => (sum === undefined ? more : mx.add(sum, more));
