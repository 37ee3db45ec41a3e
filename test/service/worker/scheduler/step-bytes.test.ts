/** What steps make in between fits into what the service reserves for them (models/memory/footprint.ts). */
import { assert, describe, it } from "@effect/vitest";

import { footprintOf } from "../../../../src/service/models/memory/footprint.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { modelTypes } from "../checkpoint-layout.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, submission } from "../scheduler-run.ts";

const shape = { hiddenSize: 64, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 2048 } as const;
const contextLength = 2048;
/** Of the processBytes that are reserved as well, for small arrays that the device has not come to yet. */
const allocatorBytes = 16 * 1024 ** 2;
/** Of a layer's scores, as footprint.ts reserves it twice for every model of ordinary size. */
const boundBytes = 256 * 1024 ** 2;

const sampled = { ...greedy, temperature: 0.8, topP: 0.9, repetitionPenalty: 1.2 };

const own = mx as typeof mx & { readonly getPeakMemory: () => number; readonly resetPeakMemory: () => void };

describe("the bytes of a step", () => {
  for (const modelType of modelTypes) {
    it(`of ${modelType} are within the footprint, in a long prefill and in a batch that is sampled`, async (context) => {
      if (mx.binding !== "own") context.skip("node-mlx does not tell how much there was at once");
      const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType }));
      const { stepBytes } = footprintOf(
        {
          estimatedBytes: 0,
          adapters: [],
          contextLength,
          vocabularySize: shape.vocabularySize,
          widths: { hidden: shape.hiddenSize, intermediate: 2 * shape.hiddenSize, attentionHeads: shape.heads },
        },
        undefined,
        { kvCacheBytes: 0, prefixCacheBytes: 0, maxAdapters: 0, maxRunning: limits.maxBatch },
      );
      const scheduler = new Scheduler(model, limits, () => 0);
      const before = mx.getActiveMemory();
      own.resetPeakMemory();
      let keyBytes = 0;
      const prompt = (length: number): number[] =>
        Array.from({ length }, (_, i) => (i * 31 + 3) % shape.vocabularySize);
      scheduler.submit(submission(1, prompt(contextLength - 8), { maxOutputTokens: 4 }));
      await drive(scheduler, new Map([[1, [() => (keyBytes = Math.max(keyBytes, scheduler.kvCacheBytes))]]]));
      for (let id = 2; id < 2 + limits.maxBatch; id++) {
        scheduler.submit(submission(id, prompt(40), { maxOutputTokens: 8, sampling: sampled, topLogprobs: 5 }));
      }
      await drive(scheduler, new Map([[6, [() => (keyBytes = Math.max(keyBytes, scheduler.kvCacheBytes))]]]));
      // A cache that grows is there twice for a moment.
      const made = own.getPeakMemory() - before - 2 * keyBytes;
      assert.isAbove(made, 0);
      // Of attention that is written out a slice is as narrow as the bound of a large model wants it; that of this one is far off.
      const scores = 4 * shape.heads * 1024 * contextLength;
      const more = 2 * Math.min(boundBytes - scores, ((model.scoreArrays ?? 1) - 1) * scores);
      assert.isAtMost(made, stepBytes + more + allocatorBytes, `${made} of ${stepBytes} + ${more} bytes`);
    });
  }
});
