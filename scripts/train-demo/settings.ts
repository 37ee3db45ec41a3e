import { mix } from "./curriculum.ts";
import type { Measurement } from "./evaluate.ts";
import type { Shape } from "./model.ts";
import type { Course } from "./train.ts";

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

/** Takes about 45 minutes on two cores that do nothing else. */
export const course: Course = {
  seed,
  steps: 8600,
  peakRate: 4e-3,
  // Exercises first, then more and more conversations.
  practiceShare: (done) => Math.max(0.15, 0.6 * (1 - done / 0.7)),
  mix,
};

/** The looks during training ask other questions than the card, which is to tell of ones that nobody has looked at. */
export const look: Measurement = { questions: 24, seed: 20_250 };
export const card: Measurement = { questions: 200, seed: 20_252 };
