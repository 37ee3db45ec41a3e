/**
 * The engine in a process of its own, without the service: `node --expose-gc bare-engine.ts FOLDER SPECULATION [DRAFT]`,
 * DRAFT being the folder of a model that drafts. For each message `[sequences, promptTokens, maxTokens]` it generates so many sequences in one batch and answers with tokens a second.
 */
import { loadCheckpoint } from "../../src/service/worker/checkpoint.ts";
import { checkAgainstItself } from "../../src/service/worker/self-check.ts";
import { collectBetweenSteps } from "../../src/service/worker/mlx.ts";
import { Scheduler } from "../../src/service/worker/scheduler/scheduler.ts";
import { DraftModel } from "../../src/service/worker/speculation/draft-model.ts";
import { loadDraftModel } from "../../src/service/worker/speculation/load-draft-model.ts";
import { Speculator } from "../../src/service/worker/speculation/speculator.ts";
import { greedySubmission } from "../greedy-submission.ts";
import type { Work } from "./engine-process.ts";

const [folder = "", speculation, draftFolder] = process.argv.slice(2);
const model = await loadCheckpoint(folder);
checkAgainstItself(model);
const gibibyte = 1024 ** 3;
const limits = {
  maxBatch: 32,
  prefillSliceTokens: 256,
  kvCacheBytes: 2 * gibibyte,
  prefixCacheBytes: gibibyte,
  maxAdapters: 0,
};
const draft = draftFolder === undefined ? undefined : await loadDraftModel(draftFolder, folder, model);
const drafter =
  draft && new DraftModel(draft, { kvCacheBytes: gibibyte, sliceTokens: 256, vocabularySize: model.vocabularySize });
const speculator = speculation === "measured" ? new Speculator(speculation, drafter) : undefined;
const scheduler = new Scheduler(model, limits, () => performance.now(), { speculator });
let sequence = 0;

const generate = async ([
  sequences,
  promptTokens,
  maxTokens,
  circle = { first: 10, length: 500 },
]: Work): Promise<number> => {
  const started = performance.now();
  // Arbitrary prompts take steps of 7.
  const stride = circle.first === 10 ? 7 : 1;
  for (let index = 0; index < sequences; index++) {
    sequence += 1;
    // Ids of ordinary tokens, another prompt each time.
    const prompt = Array.from(
      { length: promptTokens },
      (_, place) => circle.first + ((sequence * 31 + place * stride) % circle.length),
    );
    const cache = { read: true, write: true, partition: "" };
    scheduler.submit(greedySubmission(sequence, prompt, maxTokens, { cache }));
  }
  let tokens = 0;
  while (!scheduler.idle) {
    const work = scheduler.step();
    for (const event of scheduler.takeEvents()) if (event.type === "token") tokens += 1;
    await collectBetweenSteps(work);
  }
  return (1000 * tokens) / (performance.now() - started);
};

process.on("message", (work: Work) => {
  void generate(work).then((tokensPerSecond) => process.send?.(tokensPerSecond));
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
