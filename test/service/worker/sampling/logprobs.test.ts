import { assert, describe, it } from "@effect/vitest";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { KVCache } from "../../../../src/service/worker/cache/kv-cache.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";
import type { SubmitMessage } from "../../../../src/service/worker/protocol/submit-message.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { goldenNames, goldensDirectory, noGoldens, readGolden } from "../../../support/goldens.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, type Output, submission } from "../scheduler-run.ts";

const vocabularySize = 128;
const model = await loadCheckpoint(
  writeRandomCheckpoint({ modelType: "llama", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize }),
);

const prompt = (length: number, salt = 1): number[] =>
  Array.from({ length }, (_, i) => (i * 37 + salt * 11 + 5) % vocabularySize);

const scheduler = (overrides: Partial<typeof limits> = {}): Scheduler =>
  new Scheduler(model, { ...limits, ...overrides }, () => 0);

const run = async (own: Scheduler, ...requests: ReadonlyArray<SubmitMessage>): Promise<ReadonlyArray<Output>> => {
  for (const request of requests) own.submit(request);
  const outputs = await drive(own);
  return requests.map(({ sequence }) => {
    const output = outputs.get(sequence);
    if (output === undefined) throw new Error("nothing came of the sequence");
    return output;
  });
};

/** The logits after each of these tokens, in one pass. */
const logitsAfterEach = (of: Model, tokens: ReadonlyArray<number>): number[][] => {
  const hidden = of.forward(mx.array([[...tokens]], mx.int32), new KVCache(of.cacheShape, [tokens.length], 0));
  const [, , size = 0] = hidden.shape;
  return of.logits(hidden.reshape(tokens.length, size)).astype(mx.float32).tolist() as number[][];
};

/** In double precision and in the plainest way. */
const logSoftmax = (logits: ReadonlyArray<number>): number[] => {
  const most = Math.max(...logits);
  const total = most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
  return logits.map((logit) => logit - total);
};

const best = (logprobs: ReadonlyArray<number>, count: number) =>
  logprobs
    .map((logprob, tokenId) => ({ tokenId, logprob }))
    .toSorted((a, b) => b.logprob - a.logprob)
    .slice(0, count);

const assertClose = (computed: Output["logprobs"], expected: Output["logprobs"], tolerance = 1e-4): void => {
  assert.strictEqual(computed.length, expected.length);
  for (const [place, { logprob, top }] of computed.entries()) {
    assert.closeTo(logprob, expected[place]?.logprob ?? NaN, tolerance);
    assert.deepStrictEqual(
      top.map(({ tokenId }) => tokenId),
      expected[place]?.top.map(({ tokenId }) => tokenId),
    );
    for (const [rank, one] of top.entries()) {
      assert.closeTo(one.logprob, expected[place]?.top[rank]?.logprob ?? NaN, tolerance);
    }
  }
};

/** What the logprobs of an output should be. */
const expectedLogprobs = (promptIds: ReadonlyArray<number>, output: Output, top: number): Output["logprobs"] =>
  logitsAfterEach(model, [...promptIds, ...output.tokenIds.slice(0, -1)])
    .slice(promptIds.length - 1)
    .map((logits, place) => {
      const logprobs = logSoftmax(logits);
      return { logprob: logprobs[output.tokenIds[place] ?? -1] ?? NaN, top: best(logprobs, top) };
    });

describe("logprobs of the output", () => {
  it("are those of the model's own distribution, whatever temperature and filters do to it", async () => {
    for (const sampling of [greedy, { ...greedy, temperature: 1.7, topP: 0.9, minP: 0.01, topK: 40, seed: 5 }]) {
      const [output] = await run(scheduler(), submission(1, prompt(9), { topLogprobs: 4, sampling }));
      if (output === undefined) throw new Error("no output");
      assert.strictEqual(output.logprobs.length, output.tokenIds.length);
      assertClose(output.logprobs, expectedLogprobs(prompt(9), output, 4));
    }
  });

  it("make one whole, over all tokens", async () => {
    const [output] = await run(scheduler(), submission(1, prompt(9), { topLogprobs: vocabularySize }));
    for (const { top } of output?.logprobs ?? []) {
      assert.strictEqual(new Set(top.map(({ tokenId }) => tokenId)).size, vocabularySize);
      assert.closeTo(
        top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0),
        1,
        1e-5,
      );
    }
  });

  it("tell of what bias and penalties made of the distribution", async () => {
    const logitBias = [
      { tokenId: 7, bias: 3 },
      { tokenId: 7, bias: 2 },
      { tokenId: 90, bias: -4 },
    ];
    const sampling = { ...greedy, logitBias, presencePenalty: 1.5 };
    const [output] = await run(scheduler(), submission(1, prompt(9), { topLogprobs: 3, sampling, maxOutputTokens: 8 }));
    if (output === undefined) throw new Error("no output");
    const logits = logitsAfterEach(model, [...prompt(9), ...output.tokenIds.slice(0, -1)]).slice(8);
    const expected = logits.map((plain, place) => {
      const before = output.tokenIds.slice(0, place);
      const logprobs = logSoftmax(
        plain.map((logit, id) => logit + (id === 7 ? 5 : id === 90 ? -4 : 0) - (before.includes(id) ? 1.5 : 0)),
      );
      return { logprob: logprobs[output.tokenIds[place] ?? -1] ?? NaN, top: best(logprobs, 3) };
    });
    assertClose(output.logprobs, expected);
  });

  it("come to each row of a batch as it wants them, and change no token", async () => {
    const wishes = [undefined, 0, 3, undefined, 20, 1];
    const requests = wishes.map((topLogprobs, index) =>
      submission(index, prompt(6 + index * 5, index), {
        topLogprobs,
        maxOutputTokens: 6 + index * 3,
        sampling: { ...greedy, temperature: index % 2, seed: index },
      }),
    );
    const own = scheduler({ maxBatch: 4 });
    const together = await run(own, ...requests);
    for (const [index, output] of together.entries()) {
      const request = requests[index];
      if (request === undefined) continue;
      const [alone] = await run(scheduler(), request);
      const [silent] = await run(scheduler(), { ...request, topLogprobs: undefined });
      assert.deepStrictEqual(output.tokenIds, silent?.tokenIds);
      assert.strictEqual(output.logprobs.length, wishes[index] === undefined ? 0 : output.tokenIds.length);
      for (const { top } of output.logprobs) assert.strictEqual(top.length, wishes[index]);
      assertClose(output.logprobs, alone?.logprobs ?? []);
    }
  });

  it("are its own of a token that is forced, from the same distribution", async () => {
    const limit = { openTokenIds: [], closeTokenIds: [120, 121], answerTokenIds: [122] };
    const requests = [0, 3, 4].map((maxTokens, index) =>
      submission(index, prompt(9, index), { topLogprobs: 2, reasoningLimit: { ...limit, maxTokens } }),
    );
    const outputs = await run(scheduler(), ...requests, submission(9, prompt(7, 5), { topLogprobs: 1 }));
    for (const [index, { promptTokenIds, reasoningLimit }] of requests.entries()) {
      const output = outputs[index];
      if (output === undefined) throw new Error("no output");
      const at = reasoningLimit?.maxTokens ?? 0;
      assert.deepStrictEqual(output.tokenIds.slice(at, at + 3), [120, 121, 122]);
      assertClose(output.logprobs, expectedLogprobs(promptTokenIds, output, 2));
      for (const { logprob, top } of output.logprobs.slice(at, at + 3)) assert.isBelow(logprob, top[0]?.logprob ?? NaN);
    }
  });

  it("equal mlx-lm's", async (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    for (const name of goldenNames) {
      const golden = readGolden(name, "golden.json") as {
        readonly runs: ReadonlyArray<{
          readonly prompt_ids: number[];
          readonly logits: number[];
          readonly greedy_ids: number[];
          readonly greedy_logprobs: number[];
        }>;
      };
      const own = new Scheduler(await loadCheckpoint(`${goldensDirectory}/${name}`), limits, () => 0);
      const requests = golden.runs.map(({ prompt_ids: ids, greedy_ids: { length } }, sequence) =>
        submission(sequence, ids, { maxOutputTokens: length, topLogprobs: 5 }),
      );
      const outputs = await run(own, ...requests);
      for (const [index, { logits, greedy_logprobs: expected }] of golden.runs.entries()) {
        const logprobs = outputs[index]?.logprobs ?? [];
        assert.strictEqual(logprobs.length, expected.length);
        for (const [place, { logprob }] of logprobs.entries()) {
          assert.closeTo(logprob, expected[place] ?? NaN, 2e-3, `${name}, run ${index}, token ${place}`);
        }
        const first = best(logSoftmax(logits), 5);
        for (const [rank, { logprob }] of (logprobs[0]?.top ?? []).entries()) {
          assert.closeTo(logprob, first[rank]?.logprob ?? NaN, 2e-3);
        }
      }
    }
  });
});

describe("logprobs of the prompt", () => {
  const ids = prompt(75);
  const wanted = (sequence: number, overrides: Partial<SubmitMessage> = {}) =>
    submission(sequence, ids, { promptLogprobs: true, topLogprobs: 2, maxOutputTokens: 4, ...overrides });
  const expected = logitsAfterEach(model, ids.slice(0, -1)).map((logits, place) => {
    const logprobs = logSoftmax(logits);
    return { logprob: logprobs[ids[place + 1] ?? -1] ?? NaN, top: best(logprobs, 2) };
  });

  it("are of all tokens but the first, in one slice or in many", async () => {
    const [alone] = await run(scheduler(), wanted(1));
    assertClose(alone?.promptLogprobs ?? [], expected);
    // A running sequence keeps the slices short.
    const own = scheduler({ prefillSliceTokens: 7 });
    const running = submission(1, prompt(4, 9), { maxOutputTokens: 60 });
    own.submit(running);
    const outputs = await drive(own, new Map([[3, [() => own.submit(wanted(2))]]]));
    const sliced = outputs.get(2);
    assert.isAtLeast(sliced?.promptSlices ?? 0, 10);
    assertClose(sliced?.promptLogprobs ?? [], expected);
    assert.deepStrictEqual(sliced?.tokenIds, alone?.tokenIds);
    assert.deepStrictEqual(outputs.get(1)?.tokenIds, (await run(scheduler(), running))[0]?.tokenIds);
  });

  it("are complete where the prompt is cached, and leave it to the cache", async () => {
    const own = scheduler({ prefixCacheBytes: 2 ** 20 });
    await run(own, submission(1, ids));
    const [scored] = await run(own, wanted(2));
    assert.strictEqual(scored?.cachedPromptTokens, 0);
    assertClose(scored?.promptLogprobs ?? [], expected);
    const fresh = scheduler({ prefixCacheBytes: 2 ** 20 });
    await run(fresh, wanted(1));
    const [after] = await run(fresh, submission(2, ids));
    assert.strictEqual(after?.cachedPromptTokens, ids.length - 1);
  });

  it("come to the one that asks, among others that begin alike", async () => {
    const requests = [submission(1, ids), wanted(2), submission(3, ids), wanted(4, { topLogprobs: undefined })];
    const outputs = await run(scheduler({ prefixCacheBytes: 2 ** 20 }), ...requests);
    assert.deepStrictEqual(
      outputs.map(({ promptLogprobs }) => promptLogprobs.length),
      [0, ids.length - 1, 0, ids.length - 1],
    );
    assertClose(outputs[1]?.promptLogprobs ?? [], expected);
    assertClose(
      outputs[3]?.promptLogprobs ?? [],
      expected.map(({ logprob }) => ({ logprob, top: [] })),
    );
    assert.strictEqual(outputs[3]?.logprobs.length, 0);
    for (const { tokenIds } of outputs) {
      assert.deepStrictEqual(tokenIds.slice(0, 4), outputs[0]?.tokenIds.slice(0, 4));
    }
  });

  it("never take more than 16 MiB of logits at once", async () => {
    const rows: number[] = [];
    const large: Model = {
      ...model,
      vocabularySize: 2 ** 18,
      logits: (hidden) => {
        rows.push(hidden.shape[0] ?? 0);
        return model.logits(hidden);
      },
    };
    const [output] = await run(new Scheduler(large, limits, () => 0), wanted(1));
    assert.isAtMost(Math.max(...rows) * 2 ** 18 * 4, 16 * 2 ** 20);
    assertClose(output?.promptLogprobs ?? [], expected);
  });

  it("are none of a prompt of one token", async () => {
    const [output] = await run(scheduler(), submission(1, [5], { promptLogprobs: true, maxOutputTokens: 2 }));
    assert.deepStrictEqual(output?.promptLogprobs, []);
    assert.strictEqual(output?.tokenIds.length, 2);
  });
});
