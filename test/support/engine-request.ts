/** A request to an engine: five tokens in, twelve out. */
import type { EngineRequest } from "../../src/service/engine/Engine.ts";
import { plainReading } from "../../src/service/output/parser.ts";
import { facts } from "./tasks.ts";

export const engineRequest = (id: string, overrides: Partial<EngineRequest["parameters"]> = {}): EngineRequest => ({
  id,
  promptTokenIds: [72, 101, 108, 108, 111],
  parameters: {
    ...facts().defaults,
    seed: 1,
    maxOutputTokens: 12,
    minOutputTokens: 0,
    stopTokenIds: [],
    ...overrides,
  },
  logitBias: [],
  topLogprobs: undefined,
  promptLogprobs: false,
  eosTokenIds: [0],
  includeStopInOutput: false,
  reading: plainReading,
  reasoningLimit: undefined,
  timeBudgetMs: undefined,
  scheduling: { turn: 0, fairnessId: "" },
  cache: { mode: "read-write", partition: "" },
  adapter: undefined,
  fillsContext: false,
});
