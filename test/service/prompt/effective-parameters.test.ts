import { assert, describe, it } from "@effect/vitest";
import { Result } from "effect";
import fc from "fast-check";

import type { ModelDefaults } from "../../../src/service/domain/model.ts";
import {
  type ParameterInputs,
  resolveDefaults,
  resolveParameters,
} from "../../../src/service/prompt/effective-parameters.ts";

const noStop = { stopSequences: [], stopTokenIds: [], ignoreEos: false, includeStopInOutput: false };

const inputs = (changes: Partial<ParameterInputs> = {}): ParameterInputs => ({
  sampling: {},
  stop: noStop,
  defaults: resolveDefaults({}, {}),
  eosTokenIds: [2],
  promptTokens: 10,
  contextLength: 100,
  randomSeed: 4242,
  ...changes,
});

const resolved = (changes: Partial<ParameterInputs>) => Result.getOrThrow(resolveParameters(inputs(changes)));

describe("effective parameters", () => {
  const family: Partial<ModelDefaults> = { temperature: 0.2, topP: 0.9, maxOutputTokens: 40 };
  const model: Partial<ModelDefaults> = { temperature: 0.6, topK: 20, repetitionPenalty: 1.1 };

  it.each([
    ["the request", { temperature: 0 }, model, family, 0],
    ["the model's configuration", {}, model, family, 0.6],
    ["the family", {}, {}, family, 0.2],
    ["the fallback", {}, {}, {}, 0.7],
  ])(
    "takes the temperature of %s before those of the layers below",
    (_, sampling, configured, profile, temperature) => {
      const { parameters } = resolved({ sampling, defaults: resolveDefaults(configured, profile) });
      assert.equal(parameters.temperature, temperature);
    },
  );

  it("takes each field from the highest layer that states it", () => {
    const { parameters } = resolved({ sampling: { minP: 0.05, seed: 7 }, defaults: resolveDefaults(model, family) });
    assert.deepEqual(parameters, {
      temperature: 0.6,
      topP: 0.9,
      topK: 20,
      minP: 0.05,
      repetitionPenalty: 1.1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      seed: 7,
      maxOutputTokens: 40,
      minOutputTokens: 0,
      stopSequences: [],
      stopTokenIds: [2],
    });
  });

  it("does not take a field that is there but undefined", () => {
    const configured = { temperature: undefined } as unknown as Partial<ModelDefaults>;
    assert.equal(resolveDefaults(configured, family).temperature, 0.2);
  });

  it("takes the random seed where none is asked for", () => {
    assert.equal(resolved({}).parameters.seed, 4242);
    assert.equal(resolved({ sampling: { seed: 0 } }).parameters.seed, 0);
  });

  it("adds the request's stop sequences to the model's, each once", () => {
    const defaults = resolveDefaults({ stopSequences: ["STOP", "</s>"] }, { stopSequences: ["<|im_end|>", "</s>"] });
    const { parameters } = resolved({ defaults, stop: { ...noStop, stopSequences: ["</s>", "\n\n"] } });
    assert.deepEqual(parameters.stopSequences, ["<|im_end|>", "</s>", "STOP", "\n\n"]);
  });

  it("adds the request's stop tokens to the end-of-sequence ones, unless those are ignored", () => {
    const stop = { ...noStop, stopTokenIds: [5, 2] };
    assert.deepEqual(resolved({ stop, eosTokenIds: [2, 3] }).parameters.stopTokenIds, [2, 3, 5]);
    assert.deepEqual(resolved({ stop: { ...stop, ignoreEos: true } }).parameters.stopTokenIds, [5, 2]);
  });
});

describe("the output limit", () => {
  const of = (stop: object, promptTokens: number, maxOutputTokens = 2048) => {
    const defaults = resolveDefaults({ maxOutputTokens }, {});
    const result = resolveParameters(inputs({ stop: { ...noStop, ...stop }, promptTokens, defaults }));
    return Result.isSuccess(result)
      ? { max: result.success.parameters.maxOutputTokens, fillsContext: result.success.fillsContext }
      : { refused: result.failure.maxOutputTokens };
  };

  it.each([
    ["explicit, fitting exactly", { maxOutputTokens: 90 }, 10, { max: 90, fillsContext: false }],
    ["explicit, one too many", { maxOutputTokens: 91 }, 10, { refused: 91 }],
    ["explicit, over the default", { maxOutputTokens: 60 }, 10, { max: 60, fillsContext: false }],
    ["defaulted, cut to the room left", {}, 10, { max: 90, fillsContext: true }],
    ["defaulted, with room for one token", {}, 99, { max: 1, fillsContext: true }],
    ["defaulted, with no room", {}, 100, { refused: 1 }],
    ["defaulted, the prompt over the context", {}, 5000, { refused: 1 }],
    ["defaulted, at least the least that is asked for", { minOutputTokens: 80 }, 10, { max: 90, fillsContext: true }],
    ["defaulted, with too little room for the least", { minOutputTokens: 91 }, 10, { refused: 91 }],
  ])("%s", (_, stop, promptTokens, expected) => {
    assert.deepEqual(of(stop, promptTokens), expected);
  });

  it("is the model's default where there is room for it", () => {
    assert.deepEqual(of({}, 10, 50), { max: 50, fillsContext: false });
    assert.deepEqual(of({}, 50, 50), { max: 50, fillsContext: false });
    assert.deepEqual(of({ minOutputTokens: 70 }, 10, 50), { max: 70, fillsContext: false });
  });

  it("tells prompt, wish and context when it refuses", () => {
    const error = Result.getOrThrow(
      Result.flip(resolveParameters(inputs({ stop: { ...noStop, maxOutputTokens: 91 } }))),
    );
    assert.deepInclude(error, { promptTokens: 10, maxOutputTokens: 91, contextLength: 100, estimated: false });
  });

  it("never lets prompt and output pass the context", () => {
    const limit = fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined });
    fc.assert(
      fc.property(limit, fc.nat(300), fc.integer({ min: 1, max: 300 }), (explicit, promptTokens, byDefault) => {
        const outcome = of(explicit === undefined ? {} : { maxOutputTokens: explicit }, promptTokens, byDefault);
        if ("refused" in outcome) assert.isAbove(promptTokens + (explicit ?? 1), 100);
        else assert.isAtMost(promptTokens + outcome.max, 100);
      }),
    );
  });
});
