/** Several real models in less memory than they need: real processes, real checkpoints, the service as it is started. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, assert, describe, it } from "@effect/vitest";

import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { createModelFolder, damages, goldenRuns, type ModelFolder } from "../support/model-folder.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { mlxdErrorOf } from "../support/error-of.ts";
import { until } from "../support/until.ts";

const mebibyte = 1024 ** 2;

let service: RunningService;
let client: MlxdClient;
let folder: ModelFolder;
afterEach(async () => {
  client?.close();
  await service?.stop();
  folder?.[Symbol.dispose]();
});

type Environment = Readonly<Record<string, string>>;

const start = async (environment: Environment = {}, broken: Parameters<typeof createModelFolder>[1] = []) => {
  folder = createModelFolder(["demo", "gemma", "gpt"], broken);
  service = await startService({
    MLXD_MODELS: folder.directory,
    MLXD_KV_CACHE_BYTES: String(64 * mebibyte),
    MLXD_PREFIX_CACHE_BYTES: String(16 * mebibyte),
    MLXD_PRELOAD: "none",
    ...environment,
  });
  client = createMlxdClient({ baseUrl: service.url, retry: false });
};

const greedy = (model: string, prompt: readonly number[], maxOutputTokens: number) =>
  client.generate({ tokens: [...prompt] }, { model, temperature: 0, ignoreEos: true, maxOutputTokens, tokenIds: true });

const idsOf = async (answer: ReturnType<typeof greedy>): Promise<readonly number[]> => [...(await answer).tokenIds];

/** 0 where the process has ended. */
const residentBytes = (pid: number): number => {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
};

const stateOf = async (model: string): Promise<string> => (await client.getModel(model)).state;
const longTask = { temperature: 1, seed: 1, ignoreEos: true, maxOutputTokens: 400 } as const;

describe("residency", () => {
  it("answers 200 mixed requests to three models in the room of two, each rightly", async (context) => {
    if (process.platform !== "linux") context.skip("memory is measured in /proc");
    const budgetBytes = 750 * mebibyte;
    await start({ MLXD_MAX_LOADED_MODELS: "2", MLXD_MEMORY_BUDGET: String(budgetBytes) });
    const demoPrompt = [5, 6, 7, 8];
    const cases = [
      { model: "demo", prompt: demoPrompt, expected: await idsOf(greedy("demo", demoPrompt, 24)) },
      ...(["gemma", "gpt"] as const).flatMap((model) =>
        goldenRuns(model).map((run) => ({ model, prompt: run.prompt_ids, expected: run.greedy_ids })),
      ),
    ];
    let done = false;
    let most = { workers: 0, bytes: 0 };
    const watching = (async () => {
      while (!done) {
        const workers = service.workers();
        const bytes = workers.reduce((sum, pid) => sum + residentBytes(pid), 0);
        most = { workers: Math.max(most.workers, workers.length), bytes: Math.max(most.bytes, bytes) };
        await sleep(50);
      }
    })();
    const requests = Array.from({ length: 200 }, async (_, index) => {
      await sleep((index % 20) * 100);
      const { model, prompt, expected } = cases[(index * 5) % cases.length] ?? assert.fail();
      assert.deepStrictEqual(await idsOf(greedy(model, prompt, expected.length)), [...expected], `${index}: ${model}`);
    });
    await Promise.all(requests);
    done = true;
    await watching;
    assert.strictEqual(most.workers, 2);
    assert.isAtMost(most.bytes, budgetBytes);
    const { pool, total } = await client.stats();
    assert.deepInclude(pool, { maxLoaded: 2, budgetBytes, loadFailures: 0, waiting: 0 });
    assert.isAtLeast(pool?.evictions ?? 0, 1);
    assert.strictEqual(pool?.loads, (pool?.evictions ?? 0) + 2);
    assert.isAtMost(pool?.reservedBytes ?? Infinity, budgetBytes);
    assert.deepInclude(total, { running: 0, queued: 0, succeeded: 201 });
  }, 120_000);

  it("loads a model once for a hundred first requests", async () => {
    await start();
    const { prompt_ids: prompt = [], greedy_ids: expected = [] } = goldenRuns("gemma")[1] ?? {};
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => idsOf(greedy("gemma", prompt, expected.length))),
    );
    for (const answer of answers) assert.deepStrictEqual(answer, [...expected]);
    assert.strictEqual((await client.stats()).pool?.loads, 1);
    assert.lengthOf(service.workers(), 1);
  });

  it("tells whether a model fits, and refuses one that never does", async () => {
    await start();
    const { neededBytes } = await client.checkModelFit("gemma");
    client.close();
    await service.stop();
    folder[Symbol.dispose]();
    const budgetBytes = neededBytes + mebibyte;
    await start({ MLXD_MEMORY_BUDGET: String(budgetBytes) });
    const fit = await client.checkModelFit("gemma");
    assert.deepInclude(fit, { fits: true, kvCacheBytes: 64 * mebibyte, loadedModels: 0, evicts: [], waitsFor: [] });
    assert.strictEqual(
      fit.neededBytes,
      fit.weightBytes + fit.kvCacheBytes + fit.prefixCacheBytes + fit.processBytes + fit.stepBytes,
    );
    assert.lengthOf(service.workers(), 0);
    assert.isFalse((await client.checkModelFit("demo")).fits);
    const error = await mlxdErrorOf(client.loadModel("demo"));
    assert.deepInclude(error, { reason: "MODEL_TOO_LARGE", code: "FAILED_PRECONDITION" });
    assert.strictEqual(error.metadata["availableBytes"], String(budgetBytes));
    assert.strictEqual((await client.loadModel("gemma")).state, "active");
  });

  it("unloads by call: its process is gone and its memory back", async () => {
    await start();
    const model = await client.loadModel("gemma", { pinned: true, idleTtlMs: 60_000 });
    assert.deepInclude(model, { state: "active", pinned: true, idleTtlMs: 60_000 });
    assert.isAbove(model.residentBytes, 50 * mebibyte);
    assert.isAbove(model.reservedBytes, 300 * mebibyte);
    const [pid = 0] = service.workers();
    const unloaded = await client.unloadModel("gemma");
    assert.strictEqual(residentBytes(pid), 0);
    assert.lengthOf(service.workers(), 0);
    assert.isTrue(unloaded.unloaded);
    assert.isAbove(unloaded.freedBytes, 50 * mebibyte);
    assert.deepInclude(unloaded.model, { state: "available", residentBytes: 0, reservedBytes: 0, pinned: true });
    assert.isFalse((await client.unloadModel("gemma")).unloaded);
    assert.isFalse((await client.pinModel("gemma", false)).pinned);
    await Promise.all([client.loadModel("gemma"), client.loadModel("gpt")]);
    await client.pinModel("gpt");
    const all = await client.unloadAllModels();
    assert.deepStrictEqual(all.unloaded, ["gemma"]);
    assert.deepStrictEqual(all.kept, [{ model: "gpt", reason: "it is pinned" }]);
    assert.lengthOf(service.workers(), 1);
  });

  it("lets a generation finish before it unloads, and one that comes meanwhile load anew", async () => {
    await start();
    const stream = client.stream("1 2 3", { model: "demo", ...longTask });
    let unload: Promise<unknown> | undefined;
    let late: Promise<unknown> | undefined;
    let finished = false;
    for await (const event of stream) {
      if (event.type === "chunk" && unload === undefined) {
        unload = client.unloadModel("demo");
        await until(async () => (await stateOf("demo")) === "draining");
        late = client.generate("What is 2+2?", { model: "demo" });
        const conflict = await mlxdErrorOf(client.loadModel("demo"));
        assert.deepInclude(conflict, { reason: "MODEL_OPERATION_CONFLICT", code: "ABORTED" });
      }
      finished = event.type === "finished";
    }
    assert.isTrue(finished);
    await unload;
    await late;
    assert.strictEqual((await client.stats()).pool?.loads, 2);
  });

  it("ends a generation with what it spent where an unload is forced", async () => {
    await start();
    const stream = client.stream("1 2 3", { model: "demo", ...longTask });
    let unload: Promise<unknown> | undefined;
    const error = await mlxdErrorOf(
      (async () => {
        for await (const event of stream) {
          if (event.type === "chunk") unload ??= client.unloadModel("demo", { force: true });
        }
      })(),
    );
    assert.deepInclude(error, { reason: "MODEL_UNLOADED", code: "ABORTED" });
    assert.isAtLeast(error.progress?.usage.outputTokens ?? 0, 1);
    await unload;
    assert.lengthOf(service.workers(), 0);
    assert.strictEqual((await client.stats()).total?.running, 0);
  });

  it("unloads a model that has nothing to do", async () => {
    await start({ MLXD_IDLE_TTL_MS: "600" });
    await client.generate("What is 2+2?", { model: "demo" });
    assert.lengthOf(service.workers(), 1);
    await until(() => service.workers().length === 0);
    await until(async () => (await stateOf("demo")) === "available");
    assert.strictEqual((await client.stats()).pool?.idleUnloads, 1);
    assert.notStrictEqual((await client.generate("What is 2+2?", { model: "demo" })).text, "");
  });

  it("ends a load that nobody waits for any more", async () => {
    await start();
    const abort = new AbortController();
    const load = mlxdErrorOf(client.loadModel("demo", { signal: abort.signal }));
    await until(() => service.workers().length === 1);
    abort.abort();
    assert.strictEqual((await load).reason, "CANCELLED");
    await until(() => service.workers().length === 0);
    await until(async () => (await stateOf("demo")) === "available");
    const { pool } = await client.stats();
    assert.deepInclude(pool, { loads: 0, loadFailures: 0, reservedBytes: 0 });
    assert.strictEqual((await client.loadModel("demo")).state, "active");
  });

  it("tells of a process that was killed while it loaded, and loads at the next call", async () => {
    await start();
    const load = mlxdErrorOf(client.loadModel("demo"));
    // The first may be the one that was started before the model was read, which another one replaces.
    let isOver = false;
    void load.finally(() => (isOver = true));
    await until(() => {
      for (const pid of service.workers()) killIfThere(pid);
      return isOver;
    });
    const error = await load;
    assert.deepInclude(error, { reason: "ENGINE_START_FAILED", code: "UNAVAILABLE" });
    assert.include(error.metadata["cause"] ?? "", "signal SIGKILL");
    const { state, stateReason, reservedBytes } = await client.getModel("demo");
    assert.deepEqual([state, reservedBytes], ["failed", 0]);
    assert.include(stateReason, "signal SIGKILL");
    assert.strictEqual((await client.loadModel("demo")).state, "active");
  });

  it("names what is wrong with a checkpoint, and leaves no process and no memory taken", async () => {
    const kinds = Object.keys(damages) as ReadonlyArray<keyof typeof damages>;
    await start({}, kinds);
    for (const kind of kinds) {
      const error = await mlxdErrorOf(client.loadModel(kind));
      assert.deepInclude(error, { reason: "MODEL_BROKEN", code: "FAILED_PRECONDITION" }, kind);
      assert.match(error.metadata["cause"] ?? "", damages[kind][1]);
      assert.notInclude(error.message, folder.directory);
      const { state, stateReason, reservedBytes } = await client.getModel(kind);
      assert.deepEqual([state, reservedBytes], ["failed", 0]);
      assert.match(stateReason, damages[kind][1]);
      assert.lengthOf(service.workers(), 0);
    }
    // Damaged after the service has read what there is.
    damages.truncated[0](join(folder.directory, "unknown-type"));
    assert.match((await mlxdErrorOf(client.loadModel("unknown-type"))).message, /unknown-type/);
    assert.strictEqual((await client.loadModel("gemma")).state, "active");
  });

  it("has what it preloads loaded when it is ready, apart from what fails", async () => {
    await start({ MLXD_PRELOAD: "gemma, missing-tensor, gpt" }, ["missing-tensor"]);
    assert.lengthOf(service.workers(), 2);
    const states = (await client.listModels()).map(({ id, state }) => [id, state]);
    assert.deepEqual(states, [
      ["demo", "available"],
      ["gemma", "active"],
      ["gpt", "active"],
      ["missing-tensor", "failed"],
    ]);
  });

  it("does not start when nothing of what it preloads can be loaded", async () => {
    const failed = await start({ MLXD_PRELOAD: "missing-tensor" }, ["missing-tensor"]).catch(String);
    assert.include(failed, "tensor model.norm.weight is missing");
  });
});

const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended since it was listed.
  }
};
