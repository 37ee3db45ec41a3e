import { AdamW } from "./adamw.ts";
import { mx, type Stream } from "./mlx.ts";
import type { Parameters } from "./model.ts";
import { Muon } from "./muon.ts";

export interface OptimizerSettings {
  peakRate: number;
  warmupSteps: number;
  steps: number;
  weightDecay: number;
  clipNorm: number;
}

/** Muon for the matrices of the layers, AdamW for embedding, norms and biases, under one schedule. */
export class Optimizer {
  readonly #settings: OptimizerSettings;
  readonly #matrices: Muon;
  readonly #others: AdamW;
  #step = 0;

  constructor(parameters: Parameters, settings: OptimizerSettings) {
    this.#settings = settings;
    const [matrices, others] = divide(parameters);
    this.#matrices = new Muon(matrices, settings.weightDecay);
    this.#others = new AdamW(others, settings.weightDecay, settings.clipNorm);
  }

  /** The weights as they are now, evaluated: a stream that waits for another waits for all that the other has to do. */
  parameters(): Parameters {
    const parameters = { ...this.#matrices.parameters(), ...this.#others.parameters() };
    mx.eval(parameters);
    return parameters;
  }

  /** Takes one step against the sum of the gradients divided by `weight`. */
  update(gradients: readonly Parameters[], weight: number, streams: readonly Stream[]): void {
    this.#step += 1;
    const [first = {}, ...more] = gradients;
    const sum = Object.fromEntries(
      Object.entries(first).map(([name, tensor]) => [
        name,
        mx.divide(
          more.reduce((total, part) => mx.add(total, part[name] ?? 0), tensor),
          weight,
        ),
      ]),
    );
    const [matrices, others] = divide(sum);
    const rate = this.#rate();
    mx.eval([this.#others.update(others, rate), this.#matrices.update(matrices, rate, streams)]);
  }

  /** Linear warm-up, then a cosine down to a fiftieth of the peak. */
  #rate(): number {
    const { peakRate, warmupSteps, steps } = this.#settings;
    if (this.#step < warmupSteps) return (peakRate * this.#step) / warmupSteps;
    const progress = Math.min(1, (this.#step - warmupSteps) / (steps - warmupSteps));
    return peakRate * (0.02 + 0.98 * 0.5 * (1 + Math.cos(Math.PI * progress)));
  }
}

function divide(parameters: Parameters): [matrices: Parameters, others: Parameters] {
  const entries = Object.entries(parameters);
  return [
    Object.fromEntries(entries.filter(([name]) => Muon.handles(name))),
    Object.fromEntries(entries.filter(([name]) => !Muon.handles(name))),
  ];
}
