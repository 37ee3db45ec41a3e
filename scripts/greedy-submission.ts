/** What is asked of a scheduler that runs without the service. */
import { neutralSampling, type SubmitMessage } from "../src/service/worker/protocol/submit-message.ts";

/** A sequence that is generated greedily, and ends with its tokens alone. */
export const greedySubmission = (
  sequence: number,
  promptTokenIds: ReadonlyArray<number>,
  maxOutputTokens: number,
  overrides: Partial<SubmitMessage> = {},
): SubmitMessage => ({
  type: "submit",
  sequence,
  promptTokenIds,
  sampling: neutralSampling,
  maxOutputTokens,
  minOutputTokens: 0,
  stopTokenIds: [],
  timeBudgetMs: undefined,
  scheduling: { turn: 0, fairnessId: "" },
  reasoningLimit: undefined,
  topLogprobs: undefined,
  promptLogprobs: false,
  cache: { read: false, write: false, partition: "" },
  ...overrides,
});
