import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { Speculator } from "../../../../src/service/worker/speculation/speculator.ts";
import { goldenRuns, realModels } from "../../../support/model-folder.ts";
import { modelTypes } from "../checkpoint-layout.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, type Output, submission } from "../scheduler-run.ts";
import { Oracle } from "./oracle.ts";

const vocabularySize = 64;
const shape = { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize };
const columnBytes = 2 * 4 * shape.layers * shape.kvHeads * (shape.hiddenSize / shape.heads);

type Request = ReturnType<typeof submission>;

const drafting = (model: Model, speculator: Speculator, overrides: Partial<typeof limits> = {}): Scheduler =>
  new Scheduler(model, { ...limits, ...overrides }, () => 0, { speculator });

/** What comes of a sequence without drafts. */
const plainly = async (model: Model, request: Request): Promise<Output> => {
  const own = new Scheduler(model, limits, () => 0);
  own.submit(request);
  const output = (await drive(own)).get(request.sequence);
  if (output === undefined) throw new Error("nothing came of the sequence");
  return output;
};

/** A prompt that says the same again and again. */
const repeating = (length: number, period: number, salt = 1): number[] =>
  Array.from({ length }, (_, i) => ((i % period) * 37 + salt * 11 + 5) % vocabularySize);

const arrival = fc.record({
  step: fc.nat({ max: 25 }),
  length: fc.integer({ min: 1, max: 60 }),
  period: fc.integer({ min: 1, max: 12 }),
  // Small numbers are chosenTokens more often.
  output: fc.integer({ min: 1, max: 60 }).map((tokens) => 61 - tokens),
  salt: fc.nat({ max: 12 }),
  cancelAfter: fc.option(fc.nat({ max: 15 }), { nil: undefined, freq: 5 }),
  // A low temperature repeats itself, and not always.
  temperature: fc.constantFrom(0, 0, 0.3, 1),
});

describe.each(modelTypes)("drafts for %s", (modelType) => {
  it("change no output, greedy or sampled, whatever joins, leaves, is cancelled or cached", async () => {
    const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType }));
    let drafted = 0;
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(arrival, { minLength: 3, maxLength: 12 }),
        fc.boolean(),
        fc.constantFrom(4, 12),
        async (arrivals, knows, longest) => {
          const kvCacheBytes = columnBytes * 192 * longest;
          const plan = new Map<number, Array<() => void>>();
          const at = (step: number, act: () => void) => plan.set(step, [...(plan.get(step) ?? []), act]);
          const requests = arrivals.map(({ length, period, output, salt, temperature }, sequence) =>
            submission(sequence, repeating(length, period, salt), {
              maxOutputTokens: output,
              sampling: { ...greedy, temperature, seed: salt },
            }),
          );
          const expected = new Map<number, ReadonlyArray<number>>();
          for (const request of requests) expected.set(request.sequence, (await plainly(model, request)).tokenIds);
          const speculator = knows ? new Oracle(expected, vocabularySize) : new Speculator("always");
          const own = drafting(model, speculator, { maxBatch: 5, kvCacheBytes, prefixCacheBytes: 2 ** 20 });
          for (const [index, { step, cancelAfter }] of arrivals.entries()) {
            const request = requests[index];
            if (request === undefined) continue;
            at(step, () => own.submit(request));
            if (cancelAfter !== undefined) at(step + cancelAfter, () => own.cancel(index));
          }
          let mostBytes = 0;
          for (let step = 0; step < 60; step++)
            at(step, () => void (mostBytes = Math.max(mostBytes, own.kvCacheBytes)));
          const outputs = await drive(own, plan);
          assert.isAtMost(mostBytes, kvCacheBytes);
          for (const [index, full] of expected) {
            const output = outputs.get(index);
            const got = output?.tokenIds ?? [];
            const cancelled = arrivals[index]?.cancelAfter !== undefined;
            assert.deepStrictEqual(got, cancelled ? full.slice(0, got.length) : [...full]);
            drafted += output?.draftedTokens ?? 0;
            accepted += output?.acceptedDraftTokens ?? 0;
          }
          assert.strictEqual(own.kvCacheBytes, 0);
        },
      ),
      { numRuns: 10, seed: 11 },
    );
    // Both kinds have been there.
    assert.isAbove(accepted, 50);
    assert.isAbove(drafted - accepted, 50);
  }, 120_000);
});

describe("goldens with windows", () => {
  it.each(["gemma", "gpt"] as const)("%s says what mlx-lm says, drafted for row by row", async (name) => {
    const model = await loadCheckpoint(realModels[name]);
    const runs = goldenRuns(name);
    const foretold = new Map(runs.map(({ greedy_ids: ids }, sequence) => [sequence, ids]));
    const own = drafting(model, new Oracle(foretold, model.vocabularySize));
    for (const [sequence, { prompt_ids: ids, greedy_ids: expected }] of runs.entries()) {
      own.submit(submission(sequence, ids, { maxOutputTokens: expected.length }));
    }
    const outputs = await drive(own);
    let accepted = 0;
    for (const [sequence, expected] of foretold) {
      assert.deepStrictEqual(outputs.get(sequence)?.tokenIds, [...expected]);
      accepted += outputs.get(sequence)?.acceptedDraftTokens ?? 0;
    }
    assert.isAbove(accepted, 5);
  });
});

describe("a verification", async () => {
  const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType: "llama" }));
  /** One that is drafted for among others that are and are not, compared with what it gets alone. */
  const compare = async (overrides: Partial<Request>): Promise<Output> => {
    const requests = [1, 2, 3].map((sequence) =>
      submission(sequence, repeating(9 + sequence, 4, sequence), { maxOutputTokens: 40, ...overrides }),
    );
    const expected = await Promise.all(requests.map((request) => plainly(model, request)));
    const foretold = new Map(requests.map(({ sequence }, index) => [sequence, expected[index]?.tokenIds ?? []]));
    const own = drafting(model, new Oracle(foretold, vocabularySize));
    for (const request of requests) own.submit(request);
    own.submit(submission(4, repeating(20, 6, 9), { maxOutputTokens: 30 }));
    const outputs = await drive(own);
    let accepted = 0;
    for (const [index, { sequence }] of requests.entries()) {
      const output = outputs.get(sequence);
      assert.deepStrictEqual(output?.tokenIds, expected[index]?.tokenIds);
      assert.strictEqual(output?.end, expected[index]?.end);
      assertLogprobsEqual(output?.logprobs ?? [], expected[index]?.logprobs ?? []);
      accepted += output?.acceptedDraftTokens ?? 0;
    }
    assert.isAbove(accepted, 5);
    const [first] = expected;
    if (first === undefined) throw new Error("there is a first request");
    return first;
  };

  it("tells each token's own logprobs", async () => {
    const { logprobs, tokenIds } = await compare({ topLogprobs: 3 });
    assert.strictEqual(logprobs.length, tokenIds.length);
  });

  it("sees in each place the penalties that the draft before it brings", async () => {
    await compare({ sampling: { ...greedy, repetitionPenalty: 1.3 } });
    await compare({ sampling: { ...greedy, presencePenalty: 0.5, frequencyPenalty: 0.3 } });
    await compare({ sampling: { ...greedy, temperature: 0.8, topP: 0.9, frequencyPenalty: 0.3, seed: 5 } });
  });

  it("keeps to biases and filters", async () => {
    const logitBias = [
      { tokenId: 3, bias: 2 },
      { tokenId: 9, bias: -5 },
    ];
    await compare({ sampling: { ...greedy, logitBias } });
    await compare({ sampling: { ...greedy, temperature: 1, topK: 5, minP: 0.01, logitBias, seed: 8 } });
  });

  it("ends at a stop token inside of a draft, and not before min_output_tokens", async () => {
    const { tokenIds } = await plainly(model, submission(1, repeating(10, 4, 1), { maxOutputTokens: 40 }));
    for (const place of [9, 16, 21, 30]) {
      const stop = tokenIds[place] ?? 0;
      await compare({ stopTokenIds: [stop], minOutputTokens: 5 });
      const output = await compare({ stopTokenIds: [stop], minOutputTokens: 24 });
      assert.isAtLeast(output.tokenIds.length, 24);
    }
  });

  it("leaves reasoning to be closed at its limit", async () => {
    for (const maxTokens of [6, 7, 8, 9, 10, 20]) {
      const limit = { maxTokens, openTokenIds: [], closeTokenIds: [60, 61], answerTokenIds: [62] };
      const { tokenIds } = await compare({ reasoningLimit: limit });
      assert.deepStrictEqual(tokenIds.slice(maxTokens, maxTokens + 3), [60, 61, 62]);
    }
  });

  it("ends at every length", async () => {
    for (const maxOutputTokens of [21, 22, 23, 24, 25]) {
      assert.strictEqual((await compare({ maxOutputTokens })).tokenIds.length, maxOutputTokens);
    }
  });

  it("ends with what it has when the time budget is over", async () => {
    let now = 0;
    const own = new Scheduler(model, limits, () => now, { speculator: new Speculator("always") });
    const request = submission(1, repeating(20, 4), { maxOutputTokens: 400, timeBudgetMs: 100 });
    own.submit(request);
    const output = (await drive(own, new Map([[10, [() => (now = 101)]]]))).get(1);
    assert.strictEqual(output?.end, "time-budget");
    const { tokenIds } = await plainly(model, { ...request, timeBudgetMs: undefined, maxOutputTokens: 100 });
    assert.deepStrictEqual(output?.tokenIds, tokenIds.slice(0, output?.tokenIds.length));
  });

  it("leaves a row that others may begin with", async () => {
    const own = drafting(model, new Speculator("always"), { prefixCacheBytes: 2 ** 20 });
    const first = [1, 2, 3, 4].map((sequence) =>
      submission(sequence, repeating(20 + sequence, 3 + sequence, sequence), { maxOutputTokens: 40 }),
    );
    for (const request of first) own.submit(request);
    const outputs = await drive(own);
    for (const { sequence, promptTokenIds } of first) {
      const turn = [...promptTokenIds, ...(outputs.get(sequence)?.tokenIds ?? []), 7, 8, 9];
      const request = submission(10 + sequence, turn, { maxOutputTokens: 20 });
      own.submit(request);
      const output = (await drive(own)).get(request.sequence);
      // A last token that was drafted is in the cache, one that was chosen is not.
      assert.isAtLeast(output?.cachedPromptTokens ?? 0, turn.length - 4);
      assert.deepStrictEqual(output?.tokenIds, (await plainly(model, request)).tokenIds);
    }
  });
});

const assertLogprobsEqual = (got: Output["logprobs"], expected: Output["logprobs"]): void => {
  assert.strictEqual(got.length, expected.length);
  for (const [index, { logprob, top }] of got.entries()) {
    assert.approximately(logprob, expected[index]?.logprob ?? 0, 1e-4);
    assert.deepStrictEqual(
      top.map(({ tokenId }) => tokenId),
      expected[index]?.top.map(({ tokenId }) => tokenId),
    );
  }
};
