/** Drives a scheduler without a process around it. */
import type { TokenLogprobs } from "../../../src/service/worker/protocol/sequence-events.ts";
import { neutralSampling, type SubmitMessage } from "../../../src/service/worker/protocol/submit-message.ts";
import type { WorkerLimits } from "../../../src/service/worker/protocol/to-worker.ts";
import type { Scheduler } from "../../../src/service/worker/scheduler/scheduler.ts";
import { collectBetweenSteps } from "../../../src/service/worker/mlx.ts";
import { greedySubmission } from "../../../scripts/greedy-submission.ts";

export const limits: WorkerLimits = {
  maxBatch: 8,
  prefillSliceTokens: 16,
  kvCacheBytes: 256 * 1024 * 1024,
  prefixCacheBytes: 0,
  maxAdapters: 2,
};

export const greedy = neutralSampling;

export const submission = (
  sequence: number,
  promptTokenIds: ReadonlyArray<number>,
  overrides: Partial<SubmitMessage> = {},
): SubmitMessage =>
  greedySubmission(sequence, promptTokenIds, 16, {
    cache: { read: true, write: true, partition: "" },
    ...overrides,
  });

export interface Output {
  readonly tokenIds: number[];
  readonly logprobs: TokenLogprobs[];
  readonly promptLogprobs: TokenLogprobs[];
  /** Parts that these came in. */
  promptSlices: number;
  cachedPromptTokens: number;
  draftedTokens: number;
  /** Of its output. */
  acceptedDraftTokens: number;
  end: string | undefined;
  vector: Float32Array | undefined;
}

/**
 * Steps until nothing is left to do, doing at each step what `at` says for it.
 *
 * @returns what came of each sequence
 */
export const drive = async (
  scheduler: Scheduler,
  at: ReadonlyMap<number, ReadonlyArray<() => void>> = new Map(),
): Promise<ReadonlyMap<number, Output>> => {
  const outputs = new Map<number, Output>();
  const last = Math.max(0, ...at.keys());
  for (let step = 0; step <= last || !scheduler.idle; step++) {
    for (const act of at.get(step) ?? []) act();
    const work = scheduler.step();
    for (const event of scheduler.takeEvents()) {
      const output = outputs.get(event.sequence) ?? createOutput();
      outputs.set(event.sequence, output);
      if (event.type === "admitted") output.cachedPromptTokens = event.cachedPromptTokens;
      if (event.type === "prompt") {
        output.promptLogprobs.push(...event.logprobs);
        output.promptSlices += 1;
      }
      if (event.type === "token") {
        output.tokenIds.push(event.tokenId);
        if (event.drafted === true) output.acceptedDraftTokens += 1;
        if (event.logprobs !== undefined) output.logprobs.push(event.logprobs);
      }
      if (event.type === "drafted") output.draftedTokens += event.tokens;
      if (event.type === "finished") output.end = event.reason;
      if (event.type === "refused") output.end = "refused";
      if (event.type === "adapter-failed") output.end = event.reason;
      if (event.type === "embedding") output.vector = event.vector;
    }
    await collectBetweenSteps(work);
    if (step > 5000) throw new Error("the scheduler does not come to an end");
  }
  return outputs;
};

const createOutput = (): Output => ({
  tokenIds: [],
  logprobs: [],
  promptLogprobs: [],
  promptSlices: 0,
  cachedPromptTokens: 0,
  draftedTokens: 0,
  acceptedDraftTokens: 0,
  end: undefined,
  vector: undefined,
});
