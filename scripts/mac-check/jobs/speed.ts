import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";
import { BareEngine } from "./engine.ts";

export interface SpeedInput {
  readonly folder: string;
  readonly promptLengths: ReadonlyArray<number>;
}

/** Tokens a second of one sequence, by the length of its prompt. */
export const measureSpeed = async ({ folder, promptLengths }: SpeedInput) => {
  const model = await loadCheckpoint(folder);
  checkAgainstItself(model);
  const engine = new BareEngine(model);
  await engine.generate({ sequences: 1, promptTokens: 64, maxTokens: 16 });
  const prefill: Record<string, number> = {};
  const decode: Record<string, number> = {};
  for (const promptTokens of promptLengths) {
    const { prefillMs, decodeMs } = await engine.generate({ sequences: 1, promptTokens, maxTokens: 1 + decodedTokens });
    prefill[promptTokens] = (1000 * promptTokens) / prefillMs;
    decode[promptTokens] = (1000 * decodedTokens) / decodeMs;
  }
  return { prefill, decode };
};

const decodedTokens = 64;
