import { firstMix, fourthMix, secondMix, thirdMix } from "./curriculum.ts";
import type { Measurement } from "./evaluate.ts";
import type { Shape } from "./model.ts";
import type { Round } from "./train.ts";

/** The demo model: two million parameters. */
export const shape: Shape = {
  vocabulary: 1024,
  hidden: 192,
  layers: 4,
  heads: 4,
  headSize: 48,
  feedForward: 512,
  context: 2048,
  ropeBase: 10_000,
  epsilon: 1e-6,
};

export const seed = 7;

/**
 * Each round starts from what the one before has stored, at a lower rate and with more of what was not yet learned.
 * Together they take about 50 minutes on two cores that do nothing else.
 */
export const rounds: readonly Round[] = [
  {
    seed,
    steps: 5800,
    peakRate: 4e-3,
    // Exercises first, then more and more conversations.
    practiceShare: (done) => Math.max(0.1, 0.6 * (1 - done / 0.7)),
    mix: firstMix,
  },
  { seed: seed + 10, steps: 1500, peakRate: 2e-3, practiceShare: () => 0.2, mix: secondMix },
  { seed: seed + 20, steps: 1000, peakRate: 1.5e-3, practiceShare: () => 0.15, mix: thirdMix },
  { seed: seed + 30, steps: 1100, peakRate: 1.5e-3, practiceShare: () => 0.25, mix: fourthMix },
];

/** The looks during training ask other questions than the card, which is to tell of ones that nobody has looked at. */
export const look: Measurement = { questions: 24, seed: 20_250 };
export const card: Measurement = { questions: 200, seed: 20_252 };
