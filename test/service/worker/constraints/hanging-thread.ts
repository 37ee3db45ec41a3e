/** The thread of grammars, but for one thing: it hangs for good in a step of the sequence 4. */
import { parentPort, workerData } from "node:worker_threads";

import {
  type GrammarThreadData,
  SharedMasks,
  type ToGrammarThread,
} from "../../../../src/service/worker/constraints/shared-masks.ts";

const { vocabularySize, slots, memory } = workerData as GrammarThreadData;
const shared = new SharedMasks(vocabularySize, slots, memory);

parentPort?.on("message", (message: ToGrammarThread) => {
  if (message.type !== "step" || message.steps.every(({ sequence }) => sequence !== 4)) return;
  shared.workingFor = 4;
  for (;;);
});

await import("../../../../src/service/worker/constraints/grammar-thread.ts");
