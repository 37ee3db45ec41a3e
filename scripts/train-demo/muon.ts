import { mx, onStream, type Stream, type Tensor } from "./mlx.ts";
import type { Parameters } from "./model.ts";

const momentum = 0.95;
const iterations = 5;

/** Where a piece of a weight sits: matrices of equal shape are kept and updated as one stack. */
interface Group {
  members: { name: string; piece: number }[];
  weights: Tensor;
  mean: Tensor;
}

/**
 * Muon (Keller Jordan, 2024) for the matrices inside the layers: steepest descent under the spectral norm. A step is the
 * momentum made orthogonal by Newton-Schulz iterations, scaled to the size of an AdamW step (Liu et al., 2025).
 * Fused projections are updated piece by piece.
 */
export class Muon {
  readonly #weightDecay: number;
  readonly #groups = new Map<string, Group>();
  readonly #names: string[];

  constructor(parameters: Parameters, weightDecay: number) {
    this.#weightDecay = weightDecay;
    this.#names = Object.keys(parameters);
    for (const [key, members] of this.#membersByShape(parameters)) {
      const weights = mx.stack(members.map(({ tensor }) => tensor));
      this.#groups.set(key, { members, weights, mean: mx.zerosLike(weights) });
    }
  }

  static handles(name: string): boolean {
    return /\.(qkv|out|gateUp|down)$/.test(name);
  }

  parameters(): Parameters {
    const pieces = new Map<string, Tensor[]>();
    for (const { members, weights } of this.#groups.values()) {
      const parts = mx.split(weights, members.length, 0);
      for (const [index, { name, piece }] of members.entries()) {
        const list = pieces.get(name) ?? [];
        list[piece] = mx.squeeze(parts[index] ?? weights, 0);
        pieces.set(name, list);
      }
    }
    return Object.fromEntries(this.#names.map((name) => [name, fromPieces(name, pieces.get(name) ?? [])]));
  }

  /** Takes one step, the groups shared out over the streams; returns what has to be evaluated. */
  update(gradients: Parameters, rate: number, streams: readonly Stream[]): Tensor[] {
    const stacked = new Map<string, Tensor>();
    for (const [key, members] of this.#membersByShape(gradients))
      stacked.set(key, mx.stack(members.map(({ tensor }) => tensor)));
    mx.eval([...stacked.values()]);
    return [...this.#groups].flatMap(([key, group], index) => {
      const stream = streams[index % streams.length];
      const gradient = stacked.get(key);
      if (gradient === undefined || stream === undefined)
        throw new Error(`no gradients for the matrices of shape ${key}`);
      return onStream(stream, () => this.#updateGroup(group, gradient, rate));
    });
  }

  #updateGroup(group: Group, gradient: Tensor, rate: number): Tensor[] {
    group.mean = mx.add(mx.multiply(group.mean, momentum), gradient);
    const direction = orthogonal(mx.add(gradient, mx.multiply(group.mean, momentum)));
    const [, rows = 1, columns = 1] = gradient.shape;
    const scale = rate * 0.2 * Math.sqrt(Math.max(rows, columns));
    group.weights = mx.subtract(
      mx.multiply(group.weights, 1 - rate * this.#weightDecay),
      mx.multiply(direction, scale),
    );
    return [group.weights, group.mean];
  }

  #membersByShape(parameters: Parameters): Map<string, { name: string; piece: number; tensor: Tensor }[]> {
    const byShape = new Map<string, { name: string; piece: number; tensor: Tensor }[]>();
    for (const name of this.#names) {
      const whole = parameters[name];
      if (whole === undefined) throw new Error(`no tensor ${name}`);
      for (const [piece, tensor] of toPieces(name, whole).entries()) {
        const key = tensor.shape.join("x");
        byShape.set(key, [...(byShape.get(key) ?? []), { name, piece, tensor }]);
      }
    }
    return byShape;
  }
}

/** The nearest matrix with orthogonal rows, roughly: Jordan's quintic Newton-Schulz iteration on [matrices, rows, columns]. */
function orthogonal(stack: Tensor): Tensor {
  let x = mx.divide(stack, mx.add(mx.sqrt(mx.sum(mx.square(stack), [1, 2], true)), 1e-7));
  for (let index = 0; index < iterations; index++) {
    const square = mx.matmul(x, mx.transpose(x, [0, 2, 1]));
    const polynomial = mx.add(mx.multiply(square, -4.775), mx.multiply(mx.matmul(square, square), 2.0315));
    x = mx.add(mx.multiply(x, 3.4445), mx.matmul(polynomial, x));
  }
  return x;
}

/** The projections fused in a weight, each with no more rows than columns. */
function toPieces(name: string, tensor: Tensor): Tensor[] {
  if (name.endsWith(".qkv")) return mx.split(tensor, 3, 1);
  if (name.endsWith(".gateUp")) return mx.split(tensor, 2, 1);
  return [name.endsWith(".down") ? mx.transpose(tensor) : tensor];
}

function fromPieces(name: string, pieces: Tensor[]): Tensor {
  const [first] = pieces;
  if (first === undefined) throw new Error(`no pieces of ${name}`);
  if (name.endsWith(".down")) return mx.transpose(first);
  return pieces.length === 1 ? first : mx.concatenate(pieces, 1);
}
