import type { Tokenizer } from "@huggingface/tokenizers";
import type { Mix } from "./curriculum.ts";
import { drawBatches, type Batch } from "./batches.ts";
import { lossAndGradients, mx, onStream, releaseMemory, type Tensor } from "./mlx.ts";
import { causalMask, hiddenStates, rotations, scores, type Parameters, type Shape } from "./model.ts";
import { Optimizer } from "./optimizer.ts";
import { Random } from "./random.ts";

/** What is learned, how long and how fast. */
export interface Course {
  seed: number;
  steps: number;
  peakRate: number;
  /** The part of the sequences that are exercise sheets, by the part of the course that is done. */
  practiceShare: (done: number) => number;
  mix: Mix;
}

/** Tokens of one half step; a step has two halves, one on each of two threads. */
const tokensPerHalf = 1024;
const longestSequence = 640;

export interface Progress {
  step: number;
  /** The mean loss of a token since the last report. */
  loss: number;
  tokens: number;
}

/** Trains the given weights; calls `report` every `every` steps with the weights as they are then. */
export async function train(
  shape: Shape,
  initial: Parameters,
  tokenizer: Tokenizer,
  { seed, steps, peakRate, practiceShare, mix }: Course,
  every: number,
  report: (progress: Progress, parameters: Parameters) => Promise<void>,
): Promise<Parameters> {
  let step = 0;
  const batches = drawBatches(tokenizer, new Random(seed), {
    tokensPerBatch: tokensPerHalf,
    longest: longestSequence,
    practiceShare: () => practiceShare(step / steps),
    mix,
  });
  const warmupSteps = Math.min(200, steps / 10);
  const optimizer = new Optimizer(initial, { peakRate, warmupSteps, steps, weightDecay: 0.05, clipNorm: 1 });
  const streams = [mx.defaultStream(mx.defaultDevice()), mx.newStream(mx.defaultDevice())];
  const lossOf = lossAndGradients(createLoss(shape));
  let halves = streams.map(() => batches.next().value);
  let losses: { loss: Tensor[]; count: number }[] = [];
  let tokens = 0;
  for (step = 1; step <= steps; step++) {
    const parameters = optimizer.parameters();
    const results = halves.map((batch, index) =>
      onStream(streams[index] ?? mx.defaultStream(mx.defaultDevice()), () => lossOf(parameters, batch)),
    );
    mx.eval(results);
    const count = halves.reduce((sum, batch) => sum + batch.count, 0);
    tokens += halves.reduce((sum, batch) => sum + batch.tokens.size, 0);
    optimizer.update(
      results.map(([, gradients]) => gradients),
      count,
      streams,
    );
    losses.push({ loss: results.map(([loss]) => loss), count });
    halves = streams.map(() => batches.next().value);
    await releaseMemory(step % 2 === 0);
    if (step % every === 0 || step === steps) {
      const total = losses
        .flatMap(({ loss }) => loss.map((part) => Number(part.item())))
        .reduce((sum, part) => sum + part, 0);
      const loss = total / losses.reduce((sum, part) => sum + part.count, 0);
      losses = [];
      await report({ step, loss, tokens }, optimizer.parameters());
    }
  }
  return optimizer.parameters();
}

/** The summed loss over the assistant's tokens of a batch. */
function createLoss(shape: Shape): (parameters: Parameters, batch: Batch) => Tensor {
  const tables = new Map<number, { mask: Tensor; rotation: [Tensor, Tensor] }>();
  return (parameters, { tokens, length, positions, targets }) => {
    let table = tables.get(length);
    if (table === undefined) {
      table = { mask: causalMask(length), rotation: rotations(shape, 0, length) };
      mx.eval([table.mask, table.rotation]);
      tables.set(length, table);
    }
    const states = mx.take(hiddenStates(shape, parameters, tokens, table.rotation, table.mask), positions, 0);
    const all = scores(shape, parameters, states);
    const right = mx.squeeze(mx.takeAlongAxis(all, mx.expandDims(targets, -1), -1), -1);
    return mx.sum(mx.subtract(mx.logsumexp(all, -1), right));
  };
}
