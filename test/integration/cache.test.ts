/** What is kept in memory, looked after by a real service with real models: counts, limits that change, what is taken out. */
import { afterEach, assert, describe, it } from "@effect/vitest";

import { createMlxdClient, type NodeClient } from "../../src/client/node.ts";
import { createModelFolder, type ModelFolder } from "../support/model-folder.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { mlxdErrorOf } from "../support/error-of.ts";
import { until } from "../support/until.ts";

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

let service: RunningService;
let client: NodeClient;
let folder: ModelFolder;
afterEach(async () => {
  client?.close();
  await service?.stop();
  folder?.[Symbol.dispose]();
});

const start = async (environment: Readonly<Record<string, string>> = {}) => {
  folder = createModelFolder(["demo", "gemma", "gpt"]);
  service = await startService({
    MLXD_MODELS: folder.directory,
    MLXD_KV_CACHE_BYTES: String(64 * mebibyte),
    MLXD_PREFIX_CACHE_BYTES: String(16 * mebibyte),
    MLXD_PRELOAD: "none",
    ...environment,
  });
  client = createMlxdClient({ baseUrl: service.url, retry: false });
};

const ask = (model: string, partition = "") =>
  client.generate(
    { tokens: Array.from({ length: 40 }, (_, index) => 5 + (index % 20)) },
    {
      model,
      temperature: 0,
      ignoreEos: true,
      maxOutputTokens: 4,
      cache: { partition },
    },
  );

const keysOf = async () => (await client.cache.list()).map(({ key }) => key).toSorted();

/** Sent as it stands, past the client's own checks. */
const post = async (method: string, body: string) => {
  const response = await fetch(`${service.url}/mlxd.v1.CacheService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const { code, message } = (await response.json()) as { code?: string; message?: string };
  return { code, message };
};

describe("caches", () => {
  it("tell exactly how models and prompts were used, by model and partition", async () => {
    await start({ MLXD_MAX_LOADED_MODELS: "2" });
    for (const model of ["demo", "demo", "gemma", "gpt", "demo"]) await ask(model);
    await ask("demo", "other");
    const { models, prefixes, since, takenAt } = await client.cache.stats();
    assert.deepInclude(models, { lookups: 6, hits: 2, hitRate: 2 / 6, loads: 4, loadFailures: 0, loaded: 2 });
    assert.deepInclude(models?.removals, { total: 2, room: 2, limits: 0, idle: 0, call: 0, catalog: 0, failure: 0 });
    assert.strictEqual(models?.limits?.maxCacheSize, 2);
    const demo = models?.models.find(({ model }) => model === "demo");
    assert.deepInclude(demo, { key: "local_mlx:demo", loaded: true, lookups: 4, hits: 2, hitRate: 0.5, loads: 2 });
    assert.isAbove(demo?.residentBytes ?? 0, 50 * mebibyte);
    assert.isAtLeast(Number(demo?.lastAccessAt), Number(since));
    assert.isAtLeast(Number(takenAt), Number(demo?.lastAccessAt));
    // The second of the first two found the first's prompt; those after the unload did not.
    const own = prefixes?.models.find(({ model }) => model === "demo");
    assert.deepInclude(own?.total, { lookups: 4, hits: 1, hitRate: 0.25, lookupTokens: 4 * 39, hitTokens: 39 });
    assert.deepInclude(own?.total, { entries: 2, evictions: 0 });
    const partitions = own?.partitions.map(({ tenant, partition, counts }) => [
      tenant,
      partition,
      counts?.lookups,
      counts?.hitTokens,
      counts?.entries,
    ]);
    assert.deepStrictEqual(partitions, [
      ["", "other", 1, 0, 1],
      ["", "", 3, 39, 1],
    ]);
    const [listed] = await client.cache.list();
    assert.deepInclude(listed, { key: "local_mlx:demo", state: "active", accesses: 2, users: 0, pinned: false });
    assert.strictEqual(listed?.prefixCacheBytes, own?.total?.bytes);
    const cleared = await client.cache.clearPrefixes({ partition: "other" });
    assert.deepInclude(cleared, { entries: 1 });
    assert.isAbove(cleared.bytes, 0);
    await ask("demo", "other");
    await ask("demo");
    const after = (await client.cache.stats()).prefixes?.models.find(({ model }) => model === "demo")?.total;
    assert.deepInclude(after, { lookups: 6, hits: 2, entries: 2 });
  }, 120_000);

  it("remove a model by its key: its process is gone; and know what is not there and what is unknown", async () => {
    await start();
    await ask("demo");
    assert.deepInclude(await client.cache.remove("local_mlx:demo"), { key: "local_mlx:demo", removed: true });
    assert.lengthOf(service.workers(), 0);
    assert.deepInclude(await client.cache.remove("local_mlx:demo"), { removed: false, freedBytes: 0 });
    for (const key of ["ollama:llama2-7b", "local_mlx:none", "org/model:tag/x", "none", "::", "/"]) {
      assert.deepInclude(
        await mlxdErrorOf(client.cache.remove(key)),
        { code: "NOT_FOUND", reason: "MODEL_NOT_FOUND" },
        key,
      );
    }
    for (const key of ["", " ", "\n"]) {
      const error = await mlxdErrorOf(client.cache.remove(key));
      assert.deepInclude(error, { code: "INVALID_ARGUMENT", reason: "INVALID_FIELD" }, JSON.stringify(key));
      assert.include(error.message, "key");
    }
  }, 120_000);

  it("change their limits while the service runs: idle models leave at once, one in use when it is done", async () => {
    await start();
    for (const model of ["demo", "gemma", "gpt"]) await ask(model);
    assert.lengthOf(service.workers(), 3);
    const resized = await client.cache.resize({ maxCacheSize: 2, maxMemoryGb: 16 });
    assert.lengthOf(service.workers(), 2);
    assert.deepEqual(resized.evicted, ["local_mlx:demo"]);
    assert.deepInclude(resized.current, { maxCacheSize: 2, maxMemoryGb: 16, maxMemoryBytes: 16 * gibibyte });
    assert.strictEqual(resized.configured?.maxCacheSize, 4);
    assert.deepEqual(resized.changes[0], { limit: "max_cache_size", before: 4, after: 2 });
    assert.isFalse(resized.overLimits);
    await client.pinModel("gpt");
    const stream = client.stream("1 2 3", { model: "demo", ignoreEos: true, maxOutputTokens: 900, temperature: 1 });
    let answered = false;
    for await (const event of stream) {
      if (event.type === "chunk" && !answered) {
        answered = true;
        const shrunk = await client.cache.resize({ maxCacheSize: 1 });
        assert.deepInclude(shrunk, { evicted: [], leaving: ["local_mlx:demo"], overLimits: true });
        assert.deepEqual(await keysOf(), ["local_mlx:demo", "local_mlx:gpt"]);
        const { kept, removed } = await client.cache.clear();
        assert.deepEqual(removed, []);
        assert.deepEqual(Object.fromEntries(kept.map(({ key, reason }) => [key, reason])), {
          "local_mlx:demo": "a task uses it",
          "local_mlx:gpt": "it is pinned",
        });
      }
    }
    assert.isTrue(answered);
    await until(async () => (await keysOf()).join() === "local_mlx:gpt");
    assert.strictEqual((await client.cache.stats()).models?.removals?.limits, 2);
    assert.deepEqual((await client.cache.clear({ includePinned: true })).removed, ["local_mlx:gpt"]);
    assert.lengthOf(service.workers(), 0);
    assert.strictEqual((await client.stats()).pool?.maxLoaded, 1);
    assert.isFalse((await client.cache.resize({ maxCacheSize: 1, maxMemoryGb: 16 })).changes.length > 0);
  }, 120_000);

  it("refuse limits that are none, each by its field and bound, and stay as they are", async () => {
    await start();
    const before = (await client.cache.stats()).models?.limits;
    for (const [body, message] of [
      ['{"maxCacheSize": 0}', /max_cache_size: 0 is out of range; it must be between 1 and 20/],
      ['{"maxCacheSize": 21}', /max_cache_size: 21 is out of range; it must be between 1 and 20/],
      ['{"maxMemoryGb": 0.9}', /max_memory_gb: 0.9 is out of range; it must be between 1 and 100/],
      ['{"maxMemoryGb": 100.1}', /max_memory_gb: 100.1 is out of range; it must be between 1 and 100/],
      ['{"maxMemoryGb": "NaN"}', /max_memory_gb: NaN is out of range/],
      ['{"maxMemoryGb": "Infinity"}', /max_memory_gb: Infinity is out of range/],
      ['{"maxCacheSize": 2, "maxMemoryGb": 0}', /max_memory_gb: 0 is out of range/],
      ["{}", /^set max_cache_size or max_memory_gb, or both$/],
      ['{"maxCacheSize": 1.5}', /maxCacheSize|max_cache_size/],
    ] as const) {
      const answer = await post("ResizeCache", body);
      assert.strictEqual(answer.code, "invalid_argument", body);
      assert.match(answer.message ?? "", message, body);
    }
    assert.deepEqual((await client.cache.stats()).models?.limits, before);
    for (const body of ['{"maxCacheSize": 1}', '{"maxCacheSize": 20}', '{"maxMemoryGb": 1}', '{"maxMemoryGb": 100}']) {
      assert.isUndefined((await post("ResizeCache", body)).code, body);
    }
  }, 120_000);
});
