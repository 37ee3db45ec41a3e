/**
 * LoRA adapters of a model: y + scale * (x A) B for each row of a batch, with the A and B of its own adapter. Hu et al.
 * 2021, "LoRA" (arXiv:2106.09685), in mlx-lm's format.
 *
 * A layer has the A of all loaded adapters in one stack and their B in another; each adapter has a slot in all of them.
 * Slot 0 is an adapter of zeros, for rows without one. If no row of a batch has an adapter, nothing is computed.
 */
import { all, type Dtype, mx, type Tensor } from "../mlx.ts";

/** A linear layer that adapters know by name; several may be computed as one, with their outputs side by side. */
export interface AdaptedPart {
  readonly name: string;
  readonly out: number;
}

/** Adds the rows' adapters to the output y [..., outputs] of a layer for x [..., inputs]. */
export type AddAdapters = (x: Tensor, y: Tensor) => Tensor;

/** For one part: `a` is [inputs, rank], `b` is [rank, out] and includes the adapter's scale. */
export interface LowRank {
  readonly a: Tensor;
  readonly b: Tensor;
}

/** Reads a part's matrices; undefined for a part that the adapter does not change. */
export type ReadPart = (name: string) => LowRank | undefined;

/** The slot of each row, int32 [rows]. */
interface RowSlots {
  readonly count: number;
  readonly slots: Tensor;
}

export class Adapters {
  private readonly type: Dtype;
  private readonly layers: AdaptedLayer[] = [];
  private rows: RowSlots | undefined;
  /** Identifies the contents of `rows`, to detect that they are the same again. */
  private key = "";

  /**
   * @param type the type of the model's activations, which adapters are stored in: another type would be converted in
   *   each step
   */
  constructor(type: Dtype) {
    this.type = type;
  }

  /** Registers a layer, whose outputs the returned function adapts. */
  adapt(parts: ReadonlyArray<AdaptedPart>, inputs: number): AddAdapters {
    const layer = new AdaptedLayer(parts, inputs, this.type);
    this.layers.push(layer);
    return (x, y) => (this.rows === undefined ? y : layer.add(x, y, this.rows));
  }

  /** Whether any row has an adapter. */
  get inUse(): boolean {
    return this.rows !== undefined;
  }

  /** The layers that adapters can change, by name. */
  get parts(): ReadonlyMap<string, { readonly inputs: number; readonly out: number }> {
    return new Map(
      this.layers.flatMap(({ parts, inputs }) => parts.map(({ name, out }) => [name, { inputs, out }] as const)),
    );
  }

  /** Sets the adapter of each row for the following computations. */
  use(slots: ReadonlyArray<number>): void {
    const key = slots.every((slot) => slot === 0) ? "" : slots.join();
    if (key === this.key) return;
    this.key = key;
    this.rows?.slots.dispose();
    this.rows = key === "" ? undefined : { count: slots.length, slots: mx.array([...slots], mx.int32).keep() };
  }

  /** Fills a slot layer by layer, one for each value of the generator. No row may use the slot meanwhile. */
  *fill(slot: number, read: ReadPart): Generator<void, void, void> {
    for (const layer of this.layers) {
      layer.put(slot, read);
      yield;
    }
  }
}

class AdaptedLayer {
  readonly parts: ReadonlyArray<AdaptedPart>;
  readonly inputs: number;
  private readonly outputs: number;
  private readonly type: Dtype;
  /** Undefined: no adapter changes this layer. */
  private stack: LowRank | undefined;
  /** By slot; 0 if its adapter does not change the layer. */
  private ranks: number[] = [0];

  constructor(parts: ReadonlyArray<AdaptedPart>, inputs: number, type: Dtype) {
    this.parts = parts;
    this.inputs = inputs;
    this.type = type;
    this.outputs = parts.reduce((sum, { out }) => sum + out, 0);
  }

  add(x: Tensor, y: Tensor, { count, slots }: RowSlots): Tensor {
    if (this.stack === undefined) return y;
    const { a, b } = this.stack;
    const flat = x.reshape(count, x.size / (count * this.inputs), this.inputs);
    const added = mx.gatherMm(mx.gatherMm(flat, a, undefined, slots), b, undefined, slots);
    const [first = 0, second = 0, ...more] = y.shape;
    return mx.add(y, added.reshape(first, second, ...more).astype(y.dtype));
  }

  put(slot: number, read: ReadPart): void {
    const own = this.join(read);
    const entries = Array.from({ length: Math.max(this.ranks.length, slot + 1) }, (_, each) =>
      each === slot ? own : this.entry(each),
    );
    this.ranks = entries.map((entry) => entry?.a.shape[2] ?? 0);
    const stack = this.stackOf(entries, Math.max(...this.ranks));
    this.stack?.a.dispose();
    this.stack?.b.dispose();
    this.stack = stack;
  }

  private stackOf(entries: ReadonlyArray<LowRank | undefined>, rank: number): LowRank | undefined {
    if (rank === 0) return undefined;
    const a = mx.concatenate(
      entries.map((entry) => padded(entry?.a, [1, this.inputs, rank], 2, this.type)),
      0,
    );
    const b = mx.concatenate(
      entries.map((entry) => padded(entry?.b, [1, rank, this.outputs], 1, this.type)),
      0,
    );
    mx.eval(a, b);
    return { a: a.keep(), b: b.keep() };
  }

  private entry(slot: number): LowRank | undefined {
    const rank = this.ranks[slot] ?? 0;
    if (rank === 0 || this.stack === undefined) return undefined;
    const own = mx.Slice(slot, slot + 1);
    const used = mx.Slice(0, rank);
    return { a: this.stack.a.index(own, all, used), b: this.stack.b.index(own, used, all) };
  }

  /** Puts the parts' A side by side and their B on a diagonal, so that each part affects its own outputs. */
  private join(read: ReadPart): LowRank | undefined {
    const as: Tensor[] = [];
    const bs: Tensor[] = [];
    let before = 0;
    for (const { name, out } of this.parts) {
      const own = read(name);
      if (own !== undefined) {
        const [rank = 0] = own.b.shape;
        as.push(own.a);
        bs.push(mx.concatenate([...zeros(rank, before), own.b, ...zeros(rank, this.outputs - before - out)], 1));
      }
      before += out;
    }
    if (as.length === 0) return undefined;
    return {
      a: mx.expandDims(mx.concatenate(as, 1), 0).astype(this.type),
      b: mx.expandDims(mx.concatenate(bs, 0), 0).astype(this.type),
    };
  }
}

const zeros = (rows: number, columns: number): Tensor[] => (columns === 0 ? [] : [mx.zeros([rows, columns])]);

/** Pads with zeros along the axis, up to the shape; all zeros if there is no tensor. */
const padded = (tensor: Tensor | undefined, shape: ReadonlyArray<number>, axis: number, type: Dtype): Tensor => {
  if (tensor === undefined) return mx.zeros([...shape], type);
  const missing = shape.map((size, each) => (each === axis ? size - (tensor.shape[axis] ?? 0) : size));
  return missing[axis] === 0 ? tensor : mx.concatenate([tensor, mx.zeros(missing, type)], axis);
};
