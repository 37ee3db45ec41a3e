/** Broken answers of a real model: it is made to end at once, by a bias on its end-of-sequence token. */
import { readFileSync } from "node:fs";
import { assert, describe, it } from "vitest";

import { collect } from "../support/collect.ts";
import { serveForTests } from "../support/served-client.ts";

const config = new URL("../../models/demo/config.json", import.meta.url);
const { eos_token_id: eos } = JSON.parse(readFileSync(config, "utf8"));
const endsAtOnce = { temperature: 1, logitBias: [{ tokenId: eos, bias: 100 }] };

const served = serveForTests();

const counted = async () => {
  const { total } = await served.client.stats();
  return { retried: total?.retried, recovered: total?.recovered, running: total?.running };
};

describe("an answer that ends at once", () => {
  it("has a second attempt in a unary call, and says that this was no better", async () => {
    const { text, usage, warnings } = await served.client.generate("What is 2+2?", endsAtOnce);
    assert.strictEqual(text, "");
    assert.deepInclude(usage, { outputTokens: 2, discardedTokens: 1 });
    assert.deepEqual(
      warnings.map(({ kind }) => kind),
      ["broken_answer"],
    );
    assert.deepEqual(await counted(), { retried: 1, recovered: 0, running: 0 });
  });

  it("has one in a stream too, which starts and finishes once", async () => {
    const events = await collect(served.client.stream("What is 2+2?", endsAtOnce));
    assert.deepEqual(
      [events.at(0)?.type, events.at(-1)?.type, events.filter(({ type }) => type !== "chunk").length],
      ["started", "finished", 2],
    );
    const last = events.at(-1);
    assert.deepInclude(last?.type === "finished" && last.usage, { outputTokens: 2, discardedTokens: 1 });
    assert.deepEqual(await counted(), { retried: 2, recovered: 0, running: 0 });
  });

  it("is left as it is with a seed, greedily, and in a raw prompt", async () => {
    for (const result of [
      await served.client.generate("What is 2+2?", { ...endsAtOnce, seed: 1 }),
      await served.client.generate("What is 2+2?", { ...endsAtOnce, temperature: 0 }),
      await served.client.generate({ prompt: "2+2" }, endsAtOnce),
    ]) {
      assert.strictEqual(result.usage.outputTokens, 1);
      assert.deepEqual(result.warnings, []);
    }
    assert.deepEqual(await counted(), { retried: 2, recovered: 0, running: 0 });
  });

  it("is recovered from where the second attempt goes on, also in a batch", async () => {
    const ending = (bias: number) => ({ temperature: 2, logitBias: [{ tokenId: eos, bias }], maxOutputTokens: 8 });
    const recoveredWith = async (bias: number) => {
      const items = Array.from({ length: 16 }, () => ({ input: "What is 2+2?", ...ending(bias) }));
      const events = await collect(served.client.batch(items, { parallel: true }));
      return events
        .flatMap((event) => (event.type === "item" && event.result ? [event.result] : []))
        .find(({ warnings }) => warnings.some(({ kind }) => kind === "regenerated"));
    };
    // Between biases that change nothing and those that leave no choice there are some at which chance decides.
    let bias = 10;
    let found = await recoveredWith(bias);
    while (found === undefined && bias < 100) found = await recoveredWith((bias += 1));
    if (found === undefined) return assert.fail("no answer was recovered, whatever the bias");
    const { text, usage, parameters } = found;
    assert.notStrictEqual(text.trim(), "");
    assert.strictEqual(usage.discardedTokens, 1);
    // The seed that it tells is the one that gives this answer.
    assert.strictEqual(
      (await served.client.generate("What is 2+2?", { ...ending(bias), seed: parameters.seed })).text,
      text,
    );
    assert.isAtLeast((await counted()).recovered ?? 0, 1);
  });
});
