import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler.ts";
import type { Sequence } from "../../../../src/service/worker/sequence.ts";
import { Speculator } from "../../../../src/service/worker/speculation/speculator.ts";
import { modelTypes } from "../checkpoint-layout.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, type Output, submission } from "../scheduler-run.ts";

const vocabularySize = 64;
const shape = { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize };
const columnBytes = 2 * 4 * shape.layers * shape.kvHeads * (shape.hiddenSize / shape.heads);

type Request = ReturnType<typeof submission>;

/** Drafts what it was told will come, and from some token on something else. */
class Oracle extends Speculator {
  private readonly outputs: ReadonlyMap<number, ReadonlyArray<number>>;

  constructor(outputs: ReadonlyMap<number, ReadonlyArray<number>>) {
    super("always");
    this.outputs = outputs;
  }

  override draftTokens(rows: ReadonlyArray<Sequence | undefined>): number {
    return rows.some((sequence) => sequence !== undefined && sequence.drawn % 7 !== 0) ? 1 : 0;
  }

  override draft(rows: ReadonlyArray<Sequence | undefined>): ReadonlyArray<ReadonlyArray<number>> {
    return rows.map((sequence) => {
      if (sequence === undefined) return [];
      const { id, drawn, draftRoom } = sequence;
      const right = (drawn * 5 + id * 3) % 6;
      return (this.outputs.get(id) ?? [])
        .slice(drawn, drawn + Math.min(draftRoom, (drawn + id) % 7))
        .map((tokenId, index) => (index < right ? tokenId : (tokenId + 1) % vocabularySize));
    });
  }
}

const drafting = (model: Model, speculator: Speculator, overrides: Partial<typeof limits> = {}): Scheduler =>
  new Scheduler(model, { ...limits, ...overrides }, () => 0, speculator);

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
          const speculator = knows ? new Oracle(expected) : new Speculator("always");
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
