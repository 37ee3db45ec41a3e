import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import type { Model } from "../../../../src/service/worker/architectures/Model.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import type { AdapterSource } from "../../../../src/service/worker/protocol/submit-message.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { type ModelType, modelTypes } from "../checkpoint-layout.ts";
import { writeRandomAdapter, writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, submission } from "../scheduler-run.ts";

const vocabularySize = 128;
const shape = { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize };
const models = Object.fromEntries(
  await Promise.all(
    modelTypes.map(async (modelType) => [
      modelType,
      await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType })),
    ]),
  ),
) as Record<ModelType, Model>;

/** One more than are loaded at once, and of different ranks. */
const adapters = Object.fromEntries(
  modelTypes.map((modelType) => [
    modelType,
    [3, 8, 5].map((rank, seed): AdapterSource => ({
      key: `${modelType}-${seed}`,
      directory: writeRandomAdapter(models[modelType].adapters.parts, { seed, rank }),
    })),
  ]),
) as Record<ModelType, AdapterSource[]>;

const scheduler = (model: ModelType, overrides: Partial<typeof limits> = {}, now = () => 0): Scheduler =>
  new Scheduler(models[model], { ...limits, ...overrides }, now);

const alone = async (model: ModelType, request: ReturnType<typeof submission>) => {
  const own = scheduler(model);
  own.submit(request);
  return (await drive(own)).get(request.sequence);
};

const prompt = (length: number, salt = 1): number[] =>
  Array.from({ length }, (_, i) => (i * 37 + salt * 11 + 5) % vocabularySize);

/** Bytes of one column of one row. */
const columnBytes = 2 * 4 * shape.layers * shape.kvHeads * (shape.hiddenSize / shape.heads);

/** Room for about four of the longest sequences below. */
const kvCacheBytes = columnBytes * 4 * 192;

/** A sequence that arrives at a step, with a length, an output limit, and perhaps a step at which it is cancelled. */
const arrival = fc.record({
  step: fc.nat({ max: 30 }),
  length: fc.integer({ min: 1, max: 70 }),
  output: fc.integer({ min: 1, max: 40 }),
  salt: fc.nat({ max: 20 }),
  cancelAfter: fc.option(fc.nat({ max: 20 }), { nil: undefined, freq: 4 }),
  temperature: fc.constantFrom(0, 0, 1),
  adapter: fc.constantFrom(undefined, undefined, 0, 1, 2),
  background: fc.boolean(),
});

describe("Scheduler", () => {
  for (const model of modelTypes) {
    it(`gives every ${model} sequence what it gets alone, whatever joins, leaves or is cancelled, with whatever adapter`, async () => {
      const seen = new Map<string, Promise<ReadonlyArray<number>>>();
      const expected = (request: ReturnType<typeof submission>) => {
        const key = JSON.stringify({ ...request, sequence: 0 });
        const known = seen.get(key) ?? alone(model, request).then((output) => output?.tokenIds ?? []);
        seen.set(key, known);
        return known;
      };
      await fc.assert(
        fc.asyncProperty(fc.array(arrival, { minLength: 1, maxLength: 14 }), async (arrivals) => {
          const own = scheduler(model, { maxBatch: 5, kvCacheBytes, prefixCacheBytes: columnBytes * 200 });
          const plan = new Map<number, Array<() => void>>();
          const at = (step: number, act: () => void) => plan.set(step, [...(plan.get(step) ?? []), act]);
          const requests = arrivals.map(({ length, output, salt, temperature, adapter, background }, sequence) => {
            const source = adapter === undefined ? undefined : adapters[model][adapter];
            return submission(sequence, prompt(length, salt), {
              maxOutputTokens: output,
              sampling: { ...greedy, temperature, seed: salt },
              scheduling: { turn: background ? 1 : 0, fairnessId: "", background },
              ...(source !== undefined && { adapter: source }),
            });
          });
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
          for (const [index, request] of requests.entries()) {
            const full = await expected(request);
            const got = outputs.get(index)?.tokenIds ?? [];
            const cancelled = arrivals[index]?.cancelAfter !== undefined;
            assert.deepStrictEqual(got, cancelled ? full.slice(0, got.length) : [...full]);
          }
          assert.strictEqual(own.kvCacheBytes, 0);
        }),
        { numRuns: model === "llama" || model === "qwen2" ? 12 : 5, seed: 7 },
      );
    }, 120_000);
  }

  it("goes on with a running stream while a long prompt is computed", async () => {
    const own = scheduler("llama");
    own.submit(submission(1, prompt(4), { maxOutputTokens: 40 }));
    const tokens: number[] = [];
    let prefillSteps = 0;
    for (let step = 0; step < 30; step++) {
      if (step === 5) own.submit(submission(2, prompt(160, 2)));
      own.step();
      const events = own.takeEvents();
      if (step > 5 && step < 15) {
        prefillSteps += 1;
        assert.isTrue(
          events.some((event) => event.type === "token" && event.sequence === 1),
          `no token of the running stream in step ${step}`,
        );
        assert.isFalse(events.some((event) => event.type === "token" && event.sequence === 2));
      }
      tokens.push(...events.flatMap((event) => (event.type === "token" ? [event.tokenId] : [])));
    }
    assert.strictEqual(prefillSteps, 9);
  });

  it("ends at a stop token, and not before min_output_tokens", async () => {
    const free = await alone("llama", submission(1, prompt(5), { maxOutputTokens: 12 }));
    const stop = free?.tokenIds[3] ?? -1;
    const first = free?.tokenIds.indexOf(stop) ?? -1;
    const stopped = await alone("llama", submission(1, prompt(5), { maxOutputTokens: 12, stopTokenIds: [stop] }));
    assert.deepStrictEqual(stopped?.tokenIds, free?.tokenIds.slice(0, first + 1));
    assert.strictEqual(stopped?.end, "stop-token");
    const later = await alone(
      "llama",
      submission(1, prompt(5), { maxOutputTokens: 12, minOutputTokens: 8, stopTokenIds: [stop] }),
    );
    assert.isAtLeast(later?.tokenIds.length ?? 0, 8);
    assert.isFalse(later?.tokenIds.slice(0, 8).includes(stop));
  });

  it("ends with what it has when its time budget is over", async () => {
    let now = 0;
    const own = scheduler("llama", {}, () => now);
    own.submit(submission(1, prompt(5), { maxOutputTokens: 400, timeBudgetMs: 100 }));
    const outputs = await drive(own, new Map([[10, [() => (now = 101)]]]));
    assert.strictEqual(outputs.get(1)?.end, "time-budget");
    assert.isBelow(outputs.get(1)?.tokenIds.length ?? 400, 12);
  });

  describe("reasoning that reaches its limit", () => {
    const limit = { maxTokens: 4, openTokenIds: [], closeTokenIds: [120, 121], answerTokenIds: [122] };
    const limited = (
      reasoningLimit: typeof limit | (Omit<typeof limit, "openTokenIds"> & { openTokenIds: number[] }),
    ) => alone("llama", submission(1, prompt(5), { reasoningLimit, maxOutputTokens: 14 }));
    const free = async () => (await alone("llama", submission(1, prompt(5))))?.tokenIds ?? [];

    it("is closed by the tokens that it is told, and the model goes on from there", async () => {
      const expected = (await free()).slice(0, 4);
      const tokenIds = (await limited(limit))?.tokenIds ?? [];
      assert.deepStrictEqual(tokenIds.slice(0, 7), [...expected, 120, 121, 122]);
      assert.strictEqual(tokenIds.length, 14);
      const goesOn = await alone(
        "llama",
        submission(1, [...prompt(5), ...tokenIds.slice(0, 7)], { maxOutputTokens: 7 }),
      );
      assert.deepStrictEqual(tokenIds.slice(7), goesOn?.tokenIds);
    });

    it("may be no reasoning at all", async () => {
      const tokenIds = (await limited({ ...limit, maxTokens: 0 }))?.tokenIds;
      assert.deepStrictEqual(tokenIds?.slice(0, 3), [120, 121, 122]);
    });

    it("is left alone where it is closed by then, by its last token too", async () => {
      const expected = (await free()).slice(0, 14);
      const [, , third = 0, fourth = 0] = expected;
      for (const closeTokenIds of [[third], [fourth], [third, fourth]]) {
        assert.deepStrictEqual((await limited({ ...limit, closeTokenIds }))?.tokenIds, expected);
      }
    });

    it("is closed with the rest of a close that has begun", async () => {
      const expected = (await free()).slice(0, 4);
      const tokenIds = (await limited({ ...limit, closeTokenIds: [expected[3] ?? 0, 121] }))?.tokenIds;
      assert.deepStrictEqual(tokenIds?.slice(0, 6), [...expected, 121, 122]);
    });

    it("begins where the output opens it, and is not looked for elsewhere", async () => {
      const expected = await free();
      const opened = await limited({ ...limit, maxTokens: 2, openTokenIds: expected.slice(0, 3) });
      assert.deepStrictEqual(opened?.tokenIds.slice(0, 8), [...expected.slice(0, 5), 120, 121, 122]);
      const other = await limited({ ...limit, openTokenIds: [(expected[0] ?? 0) + 1] });
      assert.deepStrictEqual(other?.tokenIds, expected.slice(0, 14));
    });

    it("is the same in a batch", async () => {
      const single = (await limited(limit))?.tokenIds;
      const own = scheduler("llama");
      own.submit(submission(1, prompt(5), { reasoningLimit: limit, maxOutputTokens: 14 }));
      own.submit(submission(2, prompt(9, 2), { reasoningLimit: { ...limit, maxTokens: 6 } }));
      own.submit(submission(3, prompt(7, 3)));
      const outputs = await drive(own, new Map([[4, [() => own.submit(submission(4, prompt(6, 4)))]]]));
      assert.deepStrictEqual(outputs.get(1)?.tokenIds, single);
      assert.deepStrictEqual(outputs.get(2)?.tokenIds.slice(6, 9), [120, 121, 122]);
      for (const [sequence, salt, length] of [
        [3, 3, 7],
        [4, 4, 6],
      ] as const) {
        const expected = await alone("llama", submission(sequence, prompt(length, salt)));
        assert.deepStrictEqual(outputs.get(sequence)?.tokenIds, expected?.tokenIds);
      }
    });
  });

  it("drops what is cancelled, and ends what is out of time, with the next step: in the queue, the prefill, the decode", () => {
    for (const how of ["cancel", "time budget"] as const) {
      let now = 0;
      const own = scheduler("llama", { maxBatch: 2 }, () => now);
      const limit = how === "time budget" ? { timeBudgetMs: 100 } : {};
      own.submit(submission(1, prompt(5), { maxOutputTokens: 100, ...limit }));
      for (let step = 0; step < 4; step++) own.step();
      own.submit(submission(2, prompt(150, 2), { maxOutputTokens: 100, ...limit }));
      own.submit(submission(3, prompt(5, 3), { maxOutputTokens: 100, ...limit }));
      for (let step = 0; step < 3; step++) own.step();
      const before = own.takeEvents();
      const admitted = before.flatMap((event) => (event.type === "admitted" ? [event.sequence] : []));
      assert.deepStrictEqual(admitted, [1, 2], "the third waits");
      assert.isTrue(
        before.every((event) => event.type !== "token" || event.sequence === 1),
        "the second is computed",
      );
      assert.isAbove(own.kvCacheBytes, 0);
      if (how === "cancel") for (const sequence of [1, 2, 3]) own.cancel(sequence);
      else now = 100;
      own.step();
      const ends = own.takeEvents();
      const expected = how === "cancel" ? [] : [3, 2, 1].map((sequence) => ({ sequence, reason: "time-budget" }));
      assert.deepStrictEqual(ends, expected.map((end) => ({ type: "finished", ...end })) as typeof ends);
      assert.strictEqual(own.kvCacheBytes, 0);
      assert.isTrue(own.idle);
    }
  });

  it("has something to tell as long as a refusal was not told", () => {
    const own = scheduler("llama", { kvCacheBytes: columnBytes * 64 });
    own.submit(submission(1, prompt(200)));
    assert.isFalse(own.idle);
    own.step();
    assert.strictEqual(own.takeEvents()[0]?.type, "refused");
    assert.isTrue(own.idle);
  });

  it("refuses what can never fit, with the bytes, and makes the rest wait", async () => {
    const own = scheduler("llama", { kvCacheBytes: columnBytes * 64 * 4 });
    own.submit(submission(1, prompt(200), { maxOutputTokens: 100 }));
    for (let sequence = 2; sequence < 8; sequence++) own.submit(submission(sequence, prompt(8, sequence)));
    let most = 0;
    const watch = new Map(
      Array.from({ length: 60 }, (_, step) => [step, [() => void (most = Math.max(most, own.kvCacheBytes))]]),
    );
    const outputs = await drive(own, watch);
    assert.strictEqual(outputs.get(1)?.end, "refused");
    for (let sequence = 2; sequence < 8; sequence++) assert.strictEqual(outputs.get(sequence)?.tokenIds.length, 16);
    assert.isAtMost(most, columnBytes * 64 * 4);
  });
});

describe("items of jobs", () => {
  const item = { turn: 1, fairnessId: "", background: true };
  /** The sequences that said something in this step. */
  const said = (own: Scheduler): ReadonlyArray<number> => {
    own.step();
    return own.takeEvents().flatMap((event) => (event.type === "token" ? [event.sequence] : []));
  };

  it("rest while the prompt of an interactive sequence is computed, which is done at once", () => {
    const stepsToFirst = (isItem: boolean): ReadonlyArray<ReadonlyArray<number>> => {
      const own = scheduler("llama");
      own.submit(submission(1, prompt(4), { maxOutputTokens: 60, ...(isItem && { scheduling: item }) }));
      for (let step = 0; step < 5; step++) said(own);
      own.submit(submission(2, prompt(160, 2)));
      const steps: Array<ReadonlyArray<number>> = [];
      while (steps.at(-1)?.includes(2) !== true) steps.push(said(own));
      return steps;
    };
    assert.deepEqual(stepsToFirst(true), [[], [1, 2]]);
    assert.isAbove(stepsToFirst(false).length, 4, "beside another interactive one it comes in slices");
  });

  it("go on now and then, though prompt comes after prompt", () => {
    let now = 0;
    const own = scheduler("llama", { prefixCacheBytes: 0 }, () => now);
    own.submit(submission(1, prompt(4), { maxOutputTokens: 60, scheduling: item }));
    for (let step = 0; step < 5; step++) said(own);
    const rests: number[] = [];
    for (let id = 2; id < 40; id++) {
      // An embedding: it never joins what runs.
      const embedding = { pooling: "mean", normalize: true } as const;
      own.submit(submission(id, prompt(8, id), { maxOutputTokens: 0, embedding }));
      now += 50;
      rests.push(said(own).includes(1) ? 0 : (rests.at(-1) ?? 0) + 1);
    }
    assert.strictEqual(Math.max(...rests), 4, "a step in 250 ms");
  });

  it("do not make the prompt of an interactive sequence longer", () => {
    const own = scheduler("llama");
    own.submit(submission(1, prompt(20, 1), { scheduling: item }));
    own.submit(submission(2, prompt(20, 2)));
    own.submit(submission(3, prompt(20, 3)));
    own.step();
    const admitted = own.takeEvents().flatMap((event) => (event.type === "admitted" ? [event.sequence] : []));
    assert.deepEqual(admitted, [2, 3]);
  });
});

it("takes waiting sequences by their turns, and lets nobody go past one for which there is no room yet", async () => {
  const own = scheduler("qwen2", { maxBatch: 1 });
  const order: number[] = [];
  const submit = (id: number, turn: number) =>
    own.submit(submission(id, prompt(5, id), { maxOutputTokens: 4, scheduling: { turn, fairnessId: "" } }));
  submit(1, 0);
  own.step();
  submit(2, 30);
  submit(3, 20);
  submit(4, 10);
  while (!own.idle) {
    own.step();
    for (const event of own.takeEvents()) if (event.type === "admitted") order.push(event.sequence);
    // More urgent than what waits, and later than what has begun.
    if (order.length === 2 && order.at(-1) === 4) submit(5, 5);
    await new Promise((resolve) => setImmediate(resolve));
    if (order.includes(5)) break;
  }
  await drive(own);
  assert.deepEqual(order, [1, 4, 5]);
});
