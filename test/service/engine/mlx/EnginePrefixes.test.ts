import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber } from "effect";

import { EnginePrefixes } from "../../../../src/service/engine/mlx/EnginePrefixes.ts";
import { PrefixUse } from "../../../../src/service/engine/PrefixUse.ts";
import { noMemory } from "../../../../src/service/worker/protocol/from-worker.ts";
import type { ToWorker } from "../../../../src/service/worker/protocol/to-worker.ts";

const partition = { partition: "a", lookups: 1, lookupTokens: 9, hits: 0, hitTokens: 0, evictions: 0 };
const begun = () => {
  const sent: ToWorker[] = [];
  const use = new PrefixUse();
  const prefixes = new EnginePrefixes("demo", use);
  prefixes.begin({ pid: 1, send: (message) => void sent.push(message), end: () => {} });
  prefixes.receive({ entries: 3, bytes: 30, partitions: [{ ...partition, entries: 3, bytes: 30 }] });
  return { prefixes, sent, use };
};

describe("the prefix cache of an engine", () => {
  it.effect("is cleared when its process says so, each call by its own answer", () =>
    Effect.gen(function* () {
      const { prefixes, sent, use } = begun();
      const clear = (selection: { partition?: string }) =>
        Effect.forkChild(prefixes.clear(selection), { startImmediately: true });
      const [first, second] = [yield* clear({ partition: "a" }), yield* clear({})];
      assert.deepStrictEqual(sent, [
        { type: "clear-prefixes", request: 0, selection: { partition: "a" } },
        { type: "clear-prefixes", request: 1, selection: {} },
      ]);
      const answer = { type: "prefixes-cleared", memory: noMemory } as const;
      prefixes.cleared({ ...answer, request: 1, cleared: { entries: 1, bytes: 2 } });
      prefixes.cleared({
        ...answer,
        request: 0,
        cleared: { entries: 3, bytes: 30 },
        prefixes: { entries: 0, bytes: 0, partitions: [] },
      });
      assert.deepStrictEqual(yield* Fiber.join(first), { entries: 3, bytes: 30 });
      assert.deepStrictEqual(yield* Fiber.join(second), { entries: 1, bytes: 2 });
      assert.strictEqual(use.of("demo")?.bytes, 0);
    }),
  );

  it.effect("is gone with a process that ends before it answers, and there is nothing to clear without one", () =>
    Effect.gen(function* () {
      const { prefixes, use } = begun();
      const clearing = yield* Effect.forkChild(prefixes.clear({}), { startImmediately: true });
      prefixes.loseProcess();
      assert.deepStrictEqual(yield* Fiber.join(clearing), { entries: 3, bytes: 30 });
      assert.deepInclude(use.of("demo"), { entries: 0, bytes: 0 });
      assert.deepStrictEqual(yield* prefixes.clear({}), { entries: 0, bytes: 0 });
    }),
  );
});
