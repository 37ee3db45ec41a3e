import { assert, describe, it } from "vitest";

import { backendPresets } from "../../../../src/service/domain/backend-presets.ts";
import { samplingOf } from "../../../../src/service/engine/openai/request-options.ts";
import { servedModel } from "../../../support/served-model.ts";

const { defaults } = servedModel({ id: "demo", source: "m", engine: "vllm" });
const parameters = { ...defaults, topP: 0.9, stopSequences: ["x"], seed: 7, minOutputTokens: 0, stopTokenIds: [] };

describe("the sampling options of a request", () => {
  it("are without those that the model does not support", () => {
    const all = samplingOf(parameters, backendPresets.vllm, new Set());
    assert.deepInclude(all, { temperature: 0.7, top_p: 0.9, seed: 7, stop: ["x"], max_tokens: 64 });
    const unsupported = new Set([
      "sampling.temperature",
      "sampling.top_p",
      "sampling.seed",
      "stop.stop_sequences",
    ] as const);
    assert.deepStrictEqual(samplingOf(parameters, backendPresets.vllm, unsupported), { max_tokens: 64 });
  });
});
