import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { PrefixCache } from "../../../../src/service/worker/cache/prefix-cache.ts";
import type { SubmitMessage } from "../../../../src/service/worker/protocol/submit-message.ts";
import { Scheduler } from "../../../../src/service/worker/scheduler/scheduler.ts";
import { modelTypes } from "../checkpoint-layout.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";
import { drive, greedy, limits, submission } from "../scheduler-run.ts";

const vocabularySize = 128;
const shape = { modelType: "llama", hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2, vocabularySize } as const;
const model = await loadCheckpoint(writeRandomCheckpoint(shape));
const tokenBytes = 2 * 4 * shape.layers * shape.kvHeads * (shape.hiddenSize / shape.heads);

const caching = (overrides: Partial<typeof limits> = {}): Scheduler =>
  new Scheduler(model, { ...limits, prefixCacheBytes: 1024 * 1024, ...overrides }, () => 0);

/** Runs one sequence after what the scheduler has done before. */
const run = async (scheduler: Scheduler, request: SubmitMessage) => {
  scheduler.submit(request);
  const output = (await drive(scheduler)).get(request.sequence);
  if (output === undefined) throw new Error("nothing came of the sequence");
  return output;
};

const alone = (request: SubmitMessage) => run(new Scheduler(model, limits, () => 0), request);

const tokens = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => (i * 31 + salt * 17 + 3) % vocabularySize);

const anywhere = { read: true, write: true, partition: "" };

describe("the prefix cache", () => {
  it("serves an exact repeat but for its last token, with the same output", async () => {
    const scheduler = caching();
    const first = await run(scheduler, submission(1, tokens(40, 1)));
    const second = await run(scheduler, submission(2, tokens(40, 1)));
    assert.strictEqual(first.cachedPromptTokens, 0);
    assert.strictEqual(second.cachedPromptTokens, 39);
    assert.deepStrictEqual(second.tokenIds, first.tokenIds);
  });

  it("serves the next turn of a conversation, the answer included", async () => {
    const scheduler = caching();
    const first = await run(scheduler, submission(1, tokens(30, 1)));
    const turn = [...tokens(30, 1), ...first.tokenIds, ...tokens(10, 2)];
    const second = await run(scheduler, submission(2, turn));
    // The last token of the answer was told, but never fed back.
    assert.strictEqual(second.cachedPromptTokens, 30 + first.tokenIds.length - 1);
    assert.deepStrictEqual(second.tokenIds, (await alone(submission(2, turn))).tokenIds);
  });

  it("serves a diverging tail up to where it diverges", async () => {
    const scheduler = caching();
    await run(scheduler, submission(1, [...tokens(32, 1), ...tokens(20, 5)]));
    const other = [...tokens(32, 1), ...tokens(25, 9)];
    const output = await run(scheduler, submission(2, other));
    assert.strictEqual(output.cachedPromptTokens, 32);
    assert.deepStrictEqual(output.tokenIds, (await alone(submission(2, other))).tokenIds);
  });

  it("lets a burst that begins alike compute the beginning once", async () => {
    const scheduler = caching();
    const prompts = Array.from({ length: 6 }, (_, i) => [...tokens(64, 1), ...tokens(8, 20 + i)]);
    for (const [index, prompt] of prompts.entries()) scheduler.submit(submission(index, prompt));
    const outputs = await drive(scheduler);
    const cached = prompts.map((_, index) => outputs.get(index)?.cachedPromptTokens);
    assert.deepStrictEqual(cached, [0, 64, 64, 64, 64, 64]);
    for (const [index, prompt] of prompts.entries()) {
      assert.deepStrictEqual(outputs.get(index)?.tokenIds, (await alone(submission(index, prompt))).tokenIds);
    }
  });

  it("lets the candidates of one prompt compute it once, the first with the prompt's logprobs or not", async () => {
    for (const promptLogprobs of [false, true]) {
      const scheduler = caching();
      const requests = [0, 1, 2, 3].map((index) =>
        submission(index, tokens(70, 1), {
          sampling: { ...greedy, temperature: 1, seed: index },
          promptLogprobs: promptLogprobs && index === 0,
        }),
      );
      for (const request of requests) scheduler.submit(request);
      const outputs = await drive(scheduler);
      assert.deepStrictEqual(
        requests.map(({ sequence }) => outputs.get(sequence)?.cachedPromptTokens),
        [0, 69, 69, 69],
      );
      for (const request of requests) {
        assert.deepStrictEqual(outputs.get(request.sequence)?.tokenIds, (await alone(request)).tokenIds);
      }
    }
  });

  it("keeps what a cancelled prefill had computed", async () => {
    const scheduler = caching({ prefillSliceTokens: 16 });
    // A running sequence keeps the slices short.
    scheduler.submit(submission(1, tokens(4, 9), { maxOutputTokens: 60 }));
    const plan = new Map([
      [2, [() => scheduler.submit(submission(2, tokens(100, 1)))]],
      [6, [() => scheduler.cancel(2)]],
    ]);
    await drive(scheduler, plan);
    const output = await run(scheduler, submission(3, tokens(100, 1)));
    assert.isAtLeast(output.cachedPromptTokens, 32);
    assert.isBelow(output.cachedPromptTokens, 99);
    assert.deepStrictEqual(output.tokenIds, (await alone(submission(3, tokens(100, 1)))).tokenIds);
  });

  it("shares nothing across partitions and keeps to a policy", async () => {
    const scheduler = caching();
    const prompt = tokens(40, 1);
    await run(scheduler, submission(1, prompt, { cache: { ...anywhere, partition: "a" } }));
    const cached = async (sequence: number, cache: SubmitMessage["cache"]) =>
      (await run(scheduler, submission(sequence, prompt, { cache }))).cachedPromptTokens;
    assert.strictEqual(await cached(2, { ...anywhere, partition: "b", write: false }), 0);
    assert.strictEqual(await cached(3, { ...anywhere, partition: "b" }), 0, "read-only kept nothing");
    assert.strictEqual(await cached(4, { ...anywhere, partition: "b", read: false }), 0, "bypass reads nothing");
    assert.strictEqual(await cached(5, { ...anywhere, partition: "a" }), 39);
  });

  it("keeps no more of a sequence than the prefix that will come again", async () => {
    const scheduler = caching();
    const stable = { ...anywhere, stablePrefixTokens: 32 };
    const first = await run(scheduler, submission(1, tokens(70, 1), { cache: stable }));
    assert.strictEqual(scheduler.prefixCacheBytes, tokenBytes * 32);
    assert.strictEqual((await run(scheduler, submission(2, tokens(70, 1), { cache: stable }))).cachedPromptTokens, 32);
    const other = [...tokens(32, 1), ...tokens(20, 8)];
    const output = await run(scheduler, submission(3, other, { cache: stable }));
    assert.strictEqual(output.cachedPromptTokens, 32);
    assert.strictEqual(scheduler.prefixCacheBytes, tokenBytes * 32);
    assert.deepStrictEqual(output.tokenIds, (await alone(submission(3, other))).tokenIds);
    assert.deepStrictEqual(first.tokenIds, (await alone(submission(1, tokens(70, 1)))).tokenIds);
    // Longer than the sequence: all of it.
    const short = { cache: { ...anywhere, partition: "b", stablePrefixTokens: 1000 } };
    await run(scheduler, submission(4, tokens(40, 1), short));
    assert.strictEqual((await run(scheduler, submission(5, tokens(40, 1), short))).cachedPromptTokens, 39);
    // Too short to be worth an entry.
    const none = { cache: { ...anywhere, partition: "c", stablePrefixTokens: 0 } };
    await run(scheduler, submission(6, tokens(40, 1), none));
    assert.strictEqual((await run(scheduler, submission(7, tokens(40, 1), none))).cachedPromptTokens, 0);
  });

  it("stays inside its budget and lets the least recently used go", async () => {
    const scheduler = caching({ prefixCacheBytes: tokenBytes * 100 });
    const request = (sequence: number, salt: number) => submission(sequence, tokens(40, salt), { maxOutputTokens: 1 });
    await run(scheduler, request(1, 1));
    await run(scheduler, request(2, 2));
    await run(scheduler, request(3, 1));
    await run(scheduler, request(4, 3));
    assert.isAtMost(scheduler.prefixCacheBytes, tokenBytes * 100);
    assert.strictEqual((await run(scheduler, request(5, 1))).cachedPromptTokens, 39, "used last, so it stayed");
    assert.strictEqual((await run(scheduler, request(6, 2))).cachedPromptTokens, 0, "used first, so it went");
  });

  it("changes no output, whatever comes in which order", async () => {
    const request = fc.record({
      step: fc.nat({ max: 25 }),
      shared: fc.integer({ min: 1, max: 60 }),
      own: fc.nat({ max: 12 }),
      salt: fc.nat({ max: 2 }),
      cancelAfter: fc.option(fc.nat({ max: 12 }), { nil: undefined, freq: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 2, maxLength: 12 }), async (requests) => {
        const scheduler = caching({ maxBatch: 4, prefixCacheBytes: tokenBytes * 300 });
        const plan = new Map<number, Array<() => void>>();
        const at = (step: number, act: () => void) => plan.set(step, [...(plan.get(step) ?? []), act]);
        const submissions = requests.map(({ shared, own, salt }, sequence) =>
          submission(sequence, [...tokens(shared, salt), ...tokens(own, 50 + sequence)], { maxOutputTokens: 10 }),
        );
        for (const [sequence, { step, cancelAfter }] of requests.entries()) {
          const one = submissions[sequence];
          if (one === undefined) continue;
          at(step, () => scheduler.submit(one));
          if (cancelAfter !== undefined) at(step + cancelAfter, () => scheduler.cancel(sequence));
        }
        const outputs = await drive(scheduler, plan);
        assert.isAtMost(scheduler.prefixCacheBytes, tokenBytes * 300);
        for (const [sequence, one] of submissions.entries()) {
          const full = (await alone(one)).tokenIds;
          const got = outputs.get(sequence)?.tokenIds ?? [];
          const cancelled = requests[sequence]?.cancelAfter !== undefined;
          assert.deepStrictEqual(got, cancelled ? full.slice(0, got.length) : full);
        }
      }),
      { numRuns: 8, seed: 3 },
    );
  }, 120_000);
});

describe.each(modelTypes)("the prefix cache of %s", (modelType) => {
  it("gives the same output as without it: a repeat, a next turn, a tail that diverges, all over the window", async () => {
    const own = await loadCheckpoint(writeRandomCheckpoint({ ...shape, modelType }));
    const ask = async (scheduler: Scheduler, promptTokenIds: ReadonlyArray<number>) =>
      run(scheduler, submission(promptTokenIds.length, promptTokenIds));
    const scheduler = new Scheduler(own, { ...limits, prefixCacheBytes: 1024 * 1024 }, () => 0);
    const first = tokens(45, 1);
    const answer = await ask(scheduler, first);
    const turn = [...first, ...answer.tokenIds, ...tokens(20, 2)];
    const prompts = [first, turn, [...first.slice(0, 33), ...tokens(27, 3)], turn];
    const cached = [];
    for (const prompt of prompts) {
      const output = await ask(scheduler, prompt);
      cached.push(output.cachedPromptTokens);
      const without = await ask(new Scheduler(own, limits, () => 0), prompt);
      assert.deepStrictEqual(output.tokenIds, without.tokenIds);
    }
    assert.deepStrictEqual(cached, [44, 45 + answer.tokenIds.length - 1, 33, turn.length - 1]);
  });
});

describe("PrefixCache", () => {
  const bytesPerToken = 10;
  /** A cache, and what it has asked to be copied: the places from which on. */
  const recording = (budgetTokens: number) => {
    const cache = new PrefixCache(budgetTokens * bytesPerToken, bytesPerToken);
    const copies: number[] = [];
    const keep = (tokenIds: number[], partition = ""): void =>
      cache.store(partition, tokenIds, (from) => {
        copies.push(from);
        return { keys: [], values: [], bytes: (tokenIds.length - from) * bytesPerToken };
      });
    const lengths = (tokenIds: number[], partition = "") =>
      cache.find(partition, tokenIds)?.pieces.map((piece) => piece.tokens);
    return { cache, copies, keep, lengths };
  };

  it("keeps what sequences have in common once", () => {
    const { cache, copies, keep, lengths } = recording(1000);
    const start = tokens(100, 1);
    keep([...start, ...tokens(20, 2)]);
    keep([...start, ...tokens(30, 3)]);
    assert.deepStrictEqual(copies, [0, 100]);
    assert.strictEqual(cache.bytes, 150 * bytesPerToken);
    assert.deepStrictEqual(lengths([...start, ...tokens(30, 3)]), [100, 30]);
    assert.deepStrictEqual(lengths([...start, ...tokens(20, 2)]), [120]);
  });

  it("puts a longer sequence in the place of its own beginning, whose tokens it goes on to hold", () => {
    const { cache, copies, keep } = recording(1000);
    keep(tokens(20, 1));
    keep([...tokens(20, 1), 1, 2]);
    assert.deepStrictEqual(copies, [0, 20]);
    assert.strictEqual(cache.bytes, 22 * bytesPerToken);
  });

  it("puts together anew what came to be of many pieces", () => {
    const { cache, copies, keep, lengths } = recording(1000);
    const turns = Array.from({ length: 10 }, (_, turn) => tokens(20 * (turn + 1), 1));
    for (const turn of turns) keep(turn);
    assert.deepStrictEqual(copies, [0, 20, 40, 60, 80, 100, 120, 140, 0, 180]);
    assert.deepStrictEqual(lengths(tokens(200, 1)), [180, 20]);
    assert.strictEqual(cache.bytes, 200 * bytesPerToken);
  });

  it("counts what others still hold, and forgets the rest, when the budget is full", () => {
    const { cache, keep, lengths } = recording(150);
    const start = tokens(60, 1);
    keep([...start, ...tokens(20, 2)]);
    keep([...start, ...tokens(20, 3)]);
    assert.strictEqual(cache.bytes, 100 * bytesPerToken);
    keep(tokens(60, 4));
    // The first is gone; its first tokens are the second's, and with them the whole of its copy.
    assert.deepStrictEqual(lengths([...start, ...tokens(20, 3)]), undefined);
    assert.deepStrictEqual(lengths(tokens(60, 4)), [60]);
    assert.strictEqual(cache.bytes, 60 * bytesPerToken);
  });

  it("keeps neither what it has nor what is too short or too large", () => {
    const { copies, keep } = recording(100);
    keep(tokens(30, 1));
    keep(tokens(20, 1));
    keep(tokens(15, 2));
    keep(tokens(101, 3));
    assert.deepStrictEqual(copies, [0]);
    keep(tokens(20, 1), "of another partition");
    assert.deepStrictEqual(copies, [0, 0]);
  });

  it("drops what is asked for, by the name of a partition or the beginning of names, and counts only what lacked room as evicted", () => {
    const { cache, keep } = recording(150);
    for (const partition of ["t:a", "t:b", "u:a"]) keep(tokens(40, 1), `:${partition}`);
    assert.deepStrictEqual(cache.clear({ partition: "a" }), { entries: 0, bytes: 0 });
    assert.deepStrictEqual(cache.clear({ beginning: "t:" }), { entries: 2, bytes: 80 * bytesPerToken });
    assert.strictEqual(cache.bytes, 40 * bytesPerToken);
    assert.deepStrictEqual(cache.clear({ partition: "u:a" }), { entries: 1, bytes: 40 * bytesPerToken });
    assert.deepStrictEqual(cache.clear({}), { entries: 0, bytes: 0 });
    assert.strictEqual(cache.bytes, 0);
    for (const salt of [1, 2, 3, 4]) keep(tokens(60, salt), ":p");
    const report = cache.takeReport();
    assert.deepInclude(report, { entries: 2, bytes: 120 * bytesPerToken });
    const evictions = report?.partitions.map(({ partition, evictions: count }) => [partition, count]);
    assert.deepStrictEqual(evictions, [
      ["t:a", 0],
      ["t:b", 0],
      ["u:a", 0],
      ["p", 2],
    ]);
  });
});

describe("the counts of the prefix cache", () => {
  it("are exact: a lookup for each sequence that may read, with the tokens that it found", async () => {
    const scheduler = caching();
    await run(scheduler, submission(1, tokens(40, 1), { cache: anywhere }));
    await run(scheduler, submission(2, tokens(40, 1), { cache: anywhere }));
    await run(scheduler, submission(3, tokens(40, 1), { cache: { ...anywhere, partition: "other" } }));
    await run(scheduler, submission(4, tokens(40, 1), { cache: { ...anywhere, read: false } }));
    const told = scheduler.takePrefixReport();
    const counts = told?.partitions.map(({ bytes: _bytes, ...counted }) => counted);
    assert.deepStrictEqual(counts, [
      { partition: "", lookups: 2, lookupTokens: 78, hits: 1, hitTokens: 39, evictions: 0, entries: 1 },
      { partition: "other", lookups: 1, lookupTokens: 39, hits: 0, hitTokens: 0, evictions: 0, entries: 1 },
    ]);
    assert.deepInclude(told, { entries: 2, bytes: scheduler.prefixCacheBytes });
    assert.strictEqual(scheduler.clearPrefixes({ partition: "" }).entries, 1);
    const again = await run(scheduler, submission(5, tokens(40, 1), { cache: anywhere }));
    assert.strictEqual(again.cachedPromptTokens, 0);
    const other = await run(scheduler, submission(6, tokens(40, 1), { cache: { ...anywhere, partition: "other" } }));
    assert.strictEqual(other.cachedPromptTokens, 39);
  });

  it("do not notice that a sequence is looked up again while it waits for room", async () => {
    const scheduler = caching({ maxBatch: 1 });
    for (const id of [1, 2, 3]) scheduler.submit(submission(id, tokens(30, id), { cache: anywhere }));
    await drive(scheduler);
    assert.strictEqual(scheduler.takePrefixReport()?.partitions[0]?.lookups, 3);
  });
});
