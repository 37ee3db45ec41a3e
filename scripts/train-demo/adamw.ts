import { mx, type Tensor } from "./mlx.ts";
import type { Parameters } from "./model.ts";

const beta1 = 0.9;
const beta2 = 0.98;
const epsilon = 1e-8;

/** AdamW over the given weights laid end to end, so that a step is a dozen operations and not a dozen per weight. */
export class AdamW {
  readonly #layout: { name: string; shape: number[]; end: number }[] = [];
  readonly #decay: Tensor;
  readonly #clipNorm: number;
  #weights: Tensor;
  #mean: Tensor;
  #square: Tensor;
  #step = 0;

  constructor(parameters: Parameters, weightDecay: number, clipNorm: number) {
    this.#clipNorm = clipNorm;
    let end = 0;
    for (const [name, { size, shape }] of Object.entries(parameters))
      this.#layout.push({ name, shape, end: (end += size) });
    this.#weights = this.#flatten(parameters);
    // Norms and biases do not decay.
    this.#decay = mx.concatenate(
      this.#layout.map(({ shape }) => mx.full([shape.reduce((a, b) => a * b, 1)], shape.length > 1 ? weightDecay : 0)),
      0,
    );
    this.#mean = mx.zeros([end]);
    this.#square = mx.zeros([end]);
  }

  parameters(): Parameters {
    const parts = mx.split(
      this.#weights,
      this.#layout.slice(0, -1).map(({ end }) => end),
    );
    return Object.fromEntries(
      this.#layout.map(({ name, shape }, index) => [name, mx.reshape(parts[index] ?? this.#weights, shape)]),
    );
  }

  /** Takes one step; returns what has to be evaluated. */
  update(gradients: Parameters, rate: number): Tensor[] {
    this.#step += 1;
    const flat = this.#flatten(gradients);
    const norm = mx.sqrt(mx.sum(mx.square(flat)));
    const gradient = mx.multiply(flat, mx.minimum(1, mx.divide(this.#clipNorm, mx.add(norm, 1e-6))));
    this.#mean = mx.add(mx.multiply(this.#mean, beta1), mx.multiply(gradient, 1 - beta1));
    this.#square = mx.add(mx.multiply(this.#square, beta2), mx.multiply(mx.square(gradient), 1 - beta2));
    const mean = mx.multiply(this.#mean, 1 / (1 - beta1 ** this.#step));
    const deviation = mx.sqrt(mx.multiply(this.#square, 1 / (1 - beta2 ** this.#step)));
    const change = mx.add(mx.divide(mean, mx.add(deviation, epsilon)), mx.multiply(this.#weights, this.#decay));
    this.#weights = mx.subtract(this.#weights, mx.multiply(change, rate));
    return [this.#weights, this.#mean, this.#square];
  }

  #flatten(parameters: Parameters): Tensor {
    return mx.concatenate(
      this.#layout.map(({ name }) => {
        const tensor = parameters[name];
        if (tensor === undefined) throw new Error(`no tensor ${name}`);
        return mx.reshape(tensor, [-1]);
      }),
      0,
    );
  }
}
