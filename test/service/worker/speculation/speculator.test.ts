import { assert, describe, it } from "@effect/vitest";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { Speculator } from "../../../../src/service/worker/speculation/speculator.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, type Output, submission } from "../scheduler-run.ts";

const vocabularySize = 64;
const model = await loadCheckpoint(
  writeRandomCheckpoint({ modelType: "llama", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize }),
);

/** Always goes on to the same token, or by a step through the vocabulary, whatever its weights say. */
const saying = (biases: ReadonlyArray<{ readonly tokenId: number; readonly bias: number }>) => ({
  sampling: { ...greedy, logitBias: biases },
});

interface Run {
  readonly output: Output;
  /** Tokens a row of each pass. */
  readonly widths: ReadonlyArray<number>;
}

/**
 * Runs one sequence where a pass of some tokens takes as long as `costMs` says.
 *
 * @param sequences that run one after another
 */
const run = async (
  costMs: (width: number) => number,
  requests: ReadonlyArray<ReturnType<typeof submission>>,
): Promise<ReadonlyArray<Run>> => {
  let now = 0;
  let widths: number[] = [];
  const timed: Model = {
    ...model,
    forward: (tokens, cache) => {
      const [, width = 0] = tokens.shape;
      now += costMs(width);
      widths.push(width);
      return model.forward(tokens, cache);
    },
  };
  const scheduler = new Scheduler(timed, limits, () => now, { speculator: new Speculator("measured") });
  const runs: Run[] = [];
  for (const request of requests) {
    widths = [];
    scheduler.submit(request);
    const output = (await drive(scheduler)).get(request.sequence);
    if (output === undefined) throw new Error("nothing came of the sequence");
    runs.push({ output, widths: widths.slice(1) });
  }
  return runs;
};

const prompt = Array.from({ length: 12 }, (_, i) => (i * 37 + 5) % vocabularySize);
const repeats = saying([{ tokenId: 7, bias: 100 }]);
const wanders = { sampling: { ...greedy, temperature: 2, seed: 3 } };

describe("Speculator", () => {
  it("drafts where the output repeats itself and verifying costs little", async () => {
    const [first] = await run(
      (width) => 10 + width / 10,
      [submission(1, prompt, { ...repeats, maxOutputTokens: 200 })],
    );
    assert.deepStrictEqual(new Set(first?.output.tokenIds), new Set([7]));
    assert.isAbove(first?.output.acceptedDraftTokens ?? 0, 150);
    assert.isBelow(first?.widths.length ?? 200, 50);
  });

  it("drafts nothing before it knows what a plain step takes", async () => {
    const [first] = await run(() => 10, [submission(1, prompt, { ...repeats, maxOutputTokens: 200 })]);
    assert.deepStrictEqual(first?.widths.slice(0, 4), [1, 1, 1, 1]);
  });

  it("stops where a verification takes as long as its tokens, and tries again now and then", async () => {
    const requests = Array.from({ length: 10 }, (_, sequence) =>
      submission(sequence, prompt, { ...repeats, maxOutputTokens: 200 }),
    );
    const runs = await run((width) => 10 * width, requests);
    const wide = runs.map(({ widths }) => widths.filter((width) => width > 1).length);
    assert.isAbove(wide[0] ?? 0, 0);
    assert.isBelow(
      wide.slice(1).reduce((sum, count) => sum + count, 0),
      15,
      "over 1800 tokens",
    );
    assert.isAbove(
      wide.slice(1).reduce((sum, count) => sum + count, 0),
      0,
    );
  });

  it("begins again when a retry shows that verifying has become cheap", async () => {
    let dear = true;
    const requests = Array.from({ length: 12 }, (_, sequence) =>
      submission(sequence, prompt, { ...repeats, maxOutputTokens: 200 }),
    );
    let passes = 0;
    const runs = await run((width) => {
      passes += 1;
      if (passes > 600) dear = false;
      return dear ? 10 * width : 10;
    }, requests);
    assert.isBelow(runs[2]?.output.acceptedDraftTokens ?? 200, 20);
    assert.isAbove(runs.at(-1)?.output.acceptedDraftTokens ?? 0, 150);
  });

  it("hardly ever drafts where nothing repeats, and every step stays a plain one", async () => {
    const [first] = await run(
      (width) => 10 + width / 10,
      [submission(1, prompt, { ...wanders, maxOutputTokens: 400 })],
    );
    assert.strictEqual(first?.output.tokenIds.length, 400);
    assert.isBelow(first?.output.draftedTokens ?? 400, 40);
  });

  it("leaves a sequence alone whose tokens have often stood before and come in no order", async () => {
    const logitBias = Array.from({ length: 6 }, (_, tokenId) => ({ tokenId, bias: 50 }));
    const request = submission(1, prompt, {
      sampling: { ...greedy, temperature: 2, seed: 9, logitBias },
      maxOutputTokens: 400,
    });
    const always = new Scheduler(model, limits, () => 0, { speculator: new Speculator("always") });
    always.submit(request);
    assert.isAbove((await drive(always)).get(1)?.draftedTokens ?? 0, 400);
    const [first] = await run((width) => 10 + width, [request]);
    assert.isBelow(first?.output.draftedTokens ?? 400, 20);
  });
});
