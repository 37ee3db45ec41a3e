/** What callers see of the scheduler: a KV cache that is too small, deadlines wherever they pass, prefixes that are kept. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, assert, describe, it } from "@effect/vitest";

import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { mlxdErrorOf } from "../support/error-of.ts";

const mebibyte = 1024 ** 2;

let service: RunningService;
let client: MlxdClient;
afterEach(async () => {
  client?.close();
  await service?.stop();
});

const start = async (environment: Readonly<Record<string, string>>): Promise<void> => {
  service = await startService(environment);
  client = createMlxdClient({ baseUrl: service.url, retry: false });
};

const prompt = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, place) => (place * 37 + salt * 101 + 5) % 1000);

const greedy = { temperature: 0, ignoreEos: true, tokenIds: true } as const;

/** Nothing runs, nothing waits, and the engine holds no KV cache. */
const assertFree = async (): Promise<void> => {
  let last: unknown;
  for (let attempt = 0; attempt < 100; attempt++) {
    const { total, models } = await client.stats();
    last = [total?.running, total?.queued, models[0]?.kvCacheBytes];
    if (total?.running === 0 && total.queued === 0 && models[0]?.kvCacheBytes === 0) return;
    await sleep(20);
  }
  assert.fail(`places or memory are still taken: ${JSON.stringify(last)}`);
};

describe("a KV cache that is too small", () => {
  it("refuses what can never fit, with the bytes, and lets all else wait for room", async () => {
    const budget = 4 * mebibyte;
    await start({ MLXD_KV_CACHE_BYTES: String(budget), MLXD_PREFIX_CACHE_BYTES: "0" });
    const ask = (salt: number) =>
      client.generate({ tokens: prompt(60 + 13 * salt, salt) }, { ...greedy, maxOutputTokens: 100 });
    const single = await ask(3);
    // Right after the last token of another: the engine is about to pause.
    for (let repeat = 0; repeat < 3; repeat++) {
      const error = await mlxdErrorOf(
        client.generate({ tokens: prompt(900, 1) }, { ...greedy, maxOutputTokens: 400, timeoutMs: 5000 }),
      );
      assert.deepInclude(error, { code: "RESOURCE_EXHAUSTED", reason: "INSUFFICIENT_MEMORY" });
      assert.strictEqual(Number(error.metadata["availableBytes"]), budget);
      assert.isAbove(Number(error.metadata["neededBytes"]), budget);
    }
    let most = 0;
    let done = false;
    const watch = (async () => {
      while (!done) {
        const { models } = await client.stats();
        most = Math.max(most, models[0]?.kvCacheBytes ?? 0);
        await sleep(5);
      }
    })();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, salt) => ask(salt)));
    done = true;
    await watch;
    assert.deepEqual(
      answers.map(({ tokenIds }) => tokenIds.length),
      answers.map(() => 100),
    );
    assert.deepEqual(answers[3]?.tokenIds, single.tokenIds);
    assert.isAbove(most, 0);
    assert.isAtMost(most, budget);
    await assertFree();
  });
});

describe("a deadline", () => {
  it("that passes in the queue, in the prefill or in the decode leaves nothing behind", async () => {
    await start({ MLXD_MAX_RUNNING: "2", MLXD_PREFILL_SLICE_TOKENS: "16" });
    const endless = { ...greedy, maxOutputTokens: 1900 } as const;
    await client.generate("x", { ...greedy, maxOutputTokens: 1 });
    const decoding = client.stream({ tokens: prompt(5, 1) }, { ...endless, timeoutMs: 1000 });
    const prefilling = client.stream({ tokens: prompt(1800, 2) }, { ...greedy, maxOutputTokens: 100, timeoutMs: 150 });
    const queued = client.generate({ tokens: prompt(5, 3) }, { ...endless, timeoutMs: 100 });
    const [inDecode, inPrefill, inQueue] = await Promise.all([
      mlxdErrorOf(decoding.collect()),
      mlxdErrorOf(prefilling.collect()),
      mlxdErrorOf(queued),
    ]);
    for (const error of [inDecode, inPrefill, inQueue]) {
      assert.deepInclude(error, { code: "DEADLINE_EXCEEDED", reason: "DEADLINE" });
    }
    assert.isAbove(inDecode.progress?.usage.outputTokens ?? 0, 0);
    assert.strictEqual(inPrefill.progress?.usage.outputTokens ?? 0, 0);
    assert.strictEqual(inQueue.progress?.usage.outputTokens ?? 0, 0);
    await assertFree();
    assert.strictEqual((await client.generate("x", { ...greedy, maxOutputTokens: 3 })).tokenIds.length, 3);
  });

  it("is none where a time budget ends the generation with what it has", async () => {
    await start({});
    const answer = await client.generate(
      { tokens: prompt(5, 1) },
      { ...greedy, maxOutputTokens: 2000, timeBudgetMs: 100 },
    );
    assert.strictEqual(answer.finishReason, "time_budget");
    assert.isAbove(answer.tokenIds.length, 0);
    assert.isBelow(answer.tokenIds.length, 2000);
    await assertFree();
  });
});

describe("a prefill whose caller leaves", () => {
  it("is kept as far as it came: the next identical request starts there, and says so", async () => {
    await start({ MLXD_PREFILL_SLICE_TOKENS: "16" });
    const tokens = prompt(1800, 7);
    const ask = () => client.generate({ tokens }, { ...greedy, maxOutputTokens: 8 });
    // A running stream keeps the slices short.
    const running = client.stream({ tokens: prompt(5, 1) }, { ...greedy, maxOutputTokens: 1900 });
    await running.next();
    await running.next();
    const leave = new AbortController();
    const left = client.stream({ tokens }, { ...greedy, maxOutputTokens: 8, signal: leave.signal });
    // It has started: a first slice is computed, and a hundred are left.
    await left.next();
    leave.abort();
    await mlxdErrorOf(left.collect());
    await running.return();
    const again = await ask();
    assert.isAbove(again.usage.cachedPromptTokens, 0);
    assert.isBelow(again.usage.cachedPromptTokens, 1799);
    const whole = await ask();
    assert.strictEqual(whole.usage.cachedPromptTokens, 1799);
    const without = await client.generate({ tokens }, { ...greedy, maxOutputTokens: 8, cache: { mode: "bypass" } });
    assert.strictEqual(without.usage.cachedPromptTokens, 0);
    assert.deepEqual(again.tokenIds, without.tokenIds);
    assert.deepEqual(whole.tokenIds, without.tokenIds);
  });
});
