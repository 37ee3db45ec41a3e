/** What runs in processes of its own, by name. */
import { checkLoaded, compareWithGolden } from "./jobs/checkpoints.ts";
import { describeBinding } from "./jobs/describe-binding.ts";
import { useMemory } from "./jobs/memory.ts";
import { computeOperations, oversizedBuffer, prefixSums } from "./jobs/operations.ts";
import { measureSpeed } from "./jobs/speed.ts";

export const jobs = {
  describeBinding,
  computeOperations,
  prefixSums,
  oversizedBuffer,
  compareWithGolden,
  checkLoaded,
  useMemory,
  measureSpeed,
};

export type Jobs = typeof jobs;

export type JobName = keyof Jobs;
