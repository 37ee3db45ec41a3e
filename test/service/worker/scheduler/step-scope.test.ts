/**
 * A token loop that left its arrays to V8's collector grew to 10 GB on a 1.5 GB model, and collecting at every second step
 * cost up to a third of the speed. Here no collector runs: what is not freed by a step itself shows in the next one.
 */
import { assert, describe, it } from "@effect/vitest";

import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { Constraints } from "../../../../src/service/worker/constraints/constraints.ts";
import { mx, type Tensor } from "../../../../src/service/worker/mlx.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { StepScope } from "../../../../src/service/worker/scheduler/step-scope.ts";
import { DraftModel } from "../../../../src/service/worker/speculation/draft-model.ts";
import { Speculator } from "../../../../src/service/worker/speculation/speculator.ts";
import { modelTypes } from "../checkpoint-layout.ts";
import { writeRandomAdapter, writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, submission } from "../scheduler-run.ts";

const vocabularySize = 128;
const shape = { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize } as const;
const isOwn = mx.binding === "own";
const needsOwn = (context: { skip: (reason: string) => void }): void => {
  if (!isOwn) context.skip("node-mlx frees arrays through V8's collector alone");
};

const tokens = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => (i * 31 + salt * 17 + 3) % vocabularySize);

/** Bytes of arrays once all that was begun is done. */
const activeBytes = (): number => {
  const scope = mx.openScope();
  mx.eval(mx.add(mx.zeros([1]), 1));
  mx.closeScope(scope);
  return mx.getActiveMemory();
};

const sampled = { ...greedy, temperature: 0.8, topP: 0.9, seed: 7, repetitionPenalty: 1.1 };

describe("a step's scope", () => {
  it("frees what a step made, and what a step before left once nobody needs it", (context) => {
    needsOwn(context);
    const scope = new StepScope();
    const isDisposed = (tensor: Tensor): boolean => (tensor as Tensor & { readonly isDisposed: boolean }).isDisposed;
    const make = (): Tensor => mx.zeros([4]);
    const made: Tensor[] = [];
    let left: Tensor[] = [];
    scope.run(
      () => made.push(make(), make()),
      () => (left = made.slice(1)),
    );
    assert.deepStrictEqual(made.map(isDisposed), [true, false]);
    scope.run(
      () => {},
      () => left,
    );
    assert.deepStrictEqual(made.map(isDisposed), [true, false]);
    scope.run(
      () => {},
      () => [],
    );
    assert.deepStrictEqual(made.map(isDisposed), [true, true]);
  });

  it("closes when a step fails", (context) => {
    needsOwn(context);
    const scope = new StepScope();
    const fail = () =>
      scope.run(
        () => {
          throw new Error("broken");
        },
        () => [],
      );
    assert.throws(fail, "broken");
    // The innermost scope is the first again.
    const outer = mx.openScope();
    mx.closeScope(outer);
    assert.strictEqual(outer, 1);
  });
});

describe("what a scheduler holds", () => {
  for (const modelType of modelTypes) {
    it(`of ${modelType} is the same after each decode step`, async (context) => {
      needsOwn(context);
      const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType }));
      const scheduler = new Scheduler(model, limits, () => 0);
      for (const id of [1, 2]) {
        scheduler.submit(
          submission(id, tokens(10, id), {
            maxOutputTokens: 40,
            ...(id === 2 && { sampling: sampled, topLogprobs: 3 }),
          }),
        );
      }
      const held = Array.from({ length: 30 }, () => {
        scheduler.step();
        return activeBytes();
      });
      // The prefill is over, and the penalty's context is full. The allocator rounds small arrays differently.
      const decoding = held.slice(25);
      assert.isAtMost(Math.max(...decoding) - Math.min(...decoding), 64, held.join());
    });
  }

  for (const prefixCacheBytes of [0, 2 ** 18]) {
    it(`is the same after 200 generations of every kind, with ${prefixCacheBytes} bytes of prefixes`, async (context) => {
      needsOwn(context);
      const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType: "llama" }));
      const draft = await loadCheckpoint(writeRandomCheckpoint({ ...shape, layers: 1, modelType: "llama" }));
      const drafter = new DraftModel(draft, { kvCacheBytes: 2 ** 26, sliceTokens: 16, vocabularySize });
      const constraints = new Constraints(vocabularySize, limits.maxBatch);
      const scheduler = new Scheduler(model, { ...limits, prefixCacheBytes }, () => 0, {
        speculator: new Speculator("always", drafter),
        constraints,
      });
      const adapter = { directory: writeRandomAdapter(model.adapters.parts, { seed: 1 }), key: "one" };
      const kinds = [
        {},
        { sampling: sampled, topLogprobs: 4 },
        { promptLogprobs: true, maxOutputTokens: 2 },
        { adapter },
        { embedding: { pooling: "mean", normalize: true }, maxOutputTokens: 0 },
        { maxOutputTokens: 70 },
      ] as const;
      const generate = async (round: number): Promise<void> => {
        for (const [index, kind] of kinds.entries()) {
          const id = 1 + round * kinds.length + index;
          scheduler.submit(submission(id, tokens(20 + ((round * 7 + index * 5) % 40), index % 3), kind));
        }
        const cancelled = round * kinds.length + 1;
        await drive(scheduler, new Map([[3 + (round % 5), [() => scheduler.cancel(cancelled)]]]));
      };
      const held: number[] = [];
      for (let round = 0; round < 34; round++) {
        await generate(round);
        scheduler.step();
        held.push(activeBytes() - scheduler.prefixCacheBytes);
      }
      // The first rounds load the adapter and make what is kept for good.
      const settled = held.slice(8);
      // The allocator rounds each of the prefixes' arrays up.
      const most = prefixCacheBytes / 16;
      assert.isAtMost(Math.max(...settled) - Math.min(...settled), most, held.join());
    });
  }
});
