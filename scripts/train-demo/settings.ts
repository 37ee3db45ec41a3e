import { firstMix, secondMix } from "./curriculum.ts";
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
 * Each round starts from what the one before has stored. The numbers of steps are what an hour on two cores allows: the
 * first round takes about 35 minutes there, the second 10.
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
];

/** How many held-out questions of each skill are asked for the card, and at a look during training. */
export const measuredQuestions = 200;
export const glancedQuestions = 24;
