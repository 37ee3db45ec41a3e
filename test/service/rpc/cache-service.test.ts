/** The calls of CacheService through the real router: what they ask of the models in memory, and how the answers are told. */
import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { createMlxdClient, type NodeClient } from "../../../src/client/node.ts";
import type { PrefixSelection } from "../../../src/service/engine/Engine.ts";
import type { PrefixCounts } from "../../../src/service/engine/PrefixUse.ts";
import type { ModelCache, UseCounts } from "../../../src/service/models/memory/ModelCache.ts";
import type { RoomLimits } from "../../../src/service/models/memory/plan-room.ts";
import type { UnloadOptions } from "../../../src/service/models/memory/retention.ts";
import { apiKey, storedKey } from "../../support/api-key.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { startTestServer } from "../../support/test-server.ts";

const gibibyte = 1024 ** 3;

/** As an administrator of the tenant acme, or as anybody where nobody is asked who calls. */
const withCache = async (
  cache: Partial<ModelCache>,
  test: (client: NodeClient["cache"]) => Promise<void>,
  { isAsked = true } = {},
): Promise<void> => {
  await using server = await startTestServer({
    cache,
    ...(isAsked && { access: { tenants: { acme: { roles: ["admin"], keys: [storedKey("a")] } } } }),
  });
  using client = createMlxdClient({ baseUrl: server.url, ...(isAsked && { credentials: apiKey("a") }) });
  await test(client.cache);
};

describe("ClearPrefixCaches", () => {
  const asked: Array<{ readonly model: string | undefined; readonly selection: PrefixSelection }> = [];
  const cache: Partial<ModelCache> = {
    clearPrefixes: (model, selection) =>
      Effect.sync(() => {
        asked.push({ model, selection });
        return [
          { status: modelStatus("demo"), entries: 2, bytes: 50 },
          { status: modelStatus("other"), entries: 1, bytes: 7 },
        ];
      }),
  };

  it("clears a partition of the caller's own tenant unless it names another, or all of a tenant", () =>
    withCache(cache, async (client) => {
      const cases = [
        [{}, undefined, {}],
        [{ model: "demo" }, "demo", {}],
        [{ partition: "p" }, undefined, { partition: '["acme","p"]' }],
        [{ partition: "" }, undefined, { partition: '["acme",""]' }],
        [{ partition: "p", tenant: "other" }, undefined, { partition: '["other","p"]' }],
        [{ tenant: "other" }, undefined, { beginning: '["other",' }],
      ] as const;
      for (const [options, model, selection] of cases) {
        const cleared = await client.clearPrefixes(options);
        assert.deepEqual(asked.at(-1), { model, selection });
        assert.deepEqual(cleared, {
          entries: 3,
          bytes: 57,
          models: [
            { key: "local_mlx:demo", entries: 2, bytes: 50 },
            { key: "local_mlx:other", entries: 1, bytes: 7 },
          ],
        });
      }
    }));

  it("clears a partition by its bare name where callers have no tenant", () =>
    withCache(
      cache,
      async (client) => {
        await client.clearPrefixes({ partition: "p" });
        assert.deepEqual(asked.at(-1)?.selection, { partition: "p" });
      },
      { isAsked: false },
    ));
});

describe("GetCacheStats", () => {
  const none: PrefixCounts = {
    lookups: 0,
    lookupTokens: 0,
    hits: 0,
    hitTokens: 0,
    evictions: 0,
    entries: 0,
    bytes: 0,
  };
  const use: UseCounts = {
    lookups: 4,
    hits: 1,
    loads: 2,
    loadFailures: 1,
    left: { eviction: 1, limits: 2, idle: 3, unload: 4, removal: 5, failure: 6 },
    lastLookupAt: 1_700_000_000_000,
  };
  const limits: RoomLimits = { maxLoaded: 2, budgetBytes: 3 * gibibyte };
  const cache: Partial<ModelCache> = {
    usage: Effect.succeed({
      total: { ...use, lookups: 0, hits: 0 },
      limits,
      configured: { maxLoaded: 4, budgetBytes: 8 * gibibyte },
      loaded: 1,
      reservedBytes: 5,
      prefixes: none,
      models: [
        {
          status: modelStatus("demo", { residentBytes: 30 }),
          use,
          prefixes: {
            ...none,
            partitions: [
              { ...none, partition: '["acme","x"]', lookups: 2, hits: 1 },
              { ...none, partition: '["acme",""]' },
              { ...none, partition: "bare" },
            ],
          },
        },
        { status: modelStatus("new", { residentBytes: 12, loadedAt: undefined }), use: undefined, prefixes: undefined },
      ],
    }),
  };

  it("tells partitions by tenant and name, as many as are asked for, and all counts", () =>
    withCache(cache, async (client) => {
      const { models, prefixes } = await client.stats({ maxPartitions: 2 });
      assert.deepInclude(models, { lookups: 0, hitRate: 0, residentBytes: 42, reservedBytes: 5 });
      assert.deepEqual(models?.limits, { maxCacheSize: 2, maxMemoryGb: 3, maxMemoryBytes: 3 * gibibyte });
      assert.strictEqual(models?.configured?.maxMemoryGb, 8);
      assert.deepInclude(models?.models[0], { key: "local_mlx:demo", loaded: true, hitRate: 0.25 });
      assert.deepEqual(models?.models[0]?.removals, {
        total: 21,
        room: 1,
        limits: 2,
        idle: 3,
        call: 4,
        catalog: 5,
        failure: 6,
      });
      assert.deepInclude(models?.models[1], { key: "local_mlx:new", loaded: false, lookups: 0 });
      assert.isUndefined(models?.models[1]?.lastAccessAt);
      assert.lengthOf(prefixes?.models ?? [], 1);
      const [own] = prefixes?.models ?? [];
      assert.strictEqual(own?.knownPartitions, 3);
      const told = own?.partitions.map(({ tenant, partition, counts }) => [tenant, partition, counts?.hitRate]);
      assert.deepEqual(told, [
        ["acme", "x", 0.5],
        ["acme", "", 0],
      ]);
      const all = (await client.stats()).prefixes?.models[0]?.partitions ?? [];
      assert.deepInclude(all[2], { tenant: "", partition: "bare" });
    }));
});

describe("RemoveCachedModel", () => {
  it("lets what runs finish for 30 s, unless it is told otherwise", async () => {
    const asked: Array<{ readonly key: string; readonly options: UnloadOptions }> = [];
    const cache: Partial<ModelCache> = {
      remove: (key, options) =>
        Effect.sync(() => {
          asked.push({ key, options });
          return { status: modelStatus("demo"), unloaded: true, freedBytes: 9 };
        }),
    };
    await withCache(cache, async (client) => {
      const removed = await client.remove("demo");
      assert.deepEqual(removed, { key: "local_mlx:demo", removed: true, freedBytes: 9 });
      await client.remove("demo", { drainTimeoutMs: 0, force: true });
      assert.deepEqual(asked, [
        { key: "demo", options: { drainMs: 30_000, force: false } },
        { key: "demo", options: { drainMs: 0, force: true } },
      ]);
    });
  });
});

describe("ResizeCache", () => {
  it("changes what it is told to, in whole bytes, and tells what is different", async () => {
    const asked: Array<Partial<RoomLimits>> = [];
    const before: RoomLimits = { maxLoaded: 4, budgetBytes: 8 * gibibyte };
    const cache: Partial<ModelCache> = {
      resize: (changes) =>
        Effect.sync(() => {
          asked.push(changes);
          const ofBoth = { before, configured: before, limits: { ...before, ...changes } };
          return { ...ofBoth, evicted: [modelStatus("demo")], leaving: [modelStatus("busy")], isOverLimits: true };
        }),
    };
    await withCache(cache, async (client) => {
      const resized = await client.resize({ maxMemoryGb: 1.1 });
      assert.deepEqual(resized.changes, [
        { limit: "max_memory_gb", before: 8, after: Math.floor(1.1 * gibibyte) / gibibyte },
      ]);
      assert.deepInclude(resized, { evicted: ["local_mlx:demo"], leaving: ["local_mlx:busy"], overLimits: true });
      assert.deepEqual((await client.resize({ maxCacheSize: 4 })).changes, []);
      assert.deepEqual(asked, [{ budgetBytes: Math.floor(1.1 * gibibyte) }, { maxLoaded: 4 }]);
    });
  });
});
