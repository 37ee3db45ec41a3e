/** An engine process that takes more memory than was reserved for it: the budget holds, and nobody else's answer changes. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, assert, describe, it } from "@effect/vitest";

import { createMlxdClient, isMlxdError, type MlxdClient, type MlxdError } from "../../src/client/node.ts";
import { growingBy } from "../support/growing-engine.ts";
import { createModelFolder, goldenRuns, type ModelFolder } from "../support/model-folder.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const mebibyte = 1024 ** 2;
const growth = 700 * mebibyte;
/** Room for both models as they were foreseen, and not for one that has grown twice. */
const budget = 1200 * mebibyte;

describe("an engine process that outgrows its reservation", { timeout: 120_000 }, () => {
  let folder: ModelFolder;
  let service: RunningService;
  let client: MlxdClient;
  afterEach(async () => {
    client?.close();
    await service?.stop();
    folder?.[Symbol.dispose]();
  });

  const start = async (): Promise<void> => {
    folder = createModelFolder(["demo", "gemma"]);
    service = await startService({
      MLXD_MODELS: folder.directory,
      MLXD_DEFAULT_MODEL: "demo",
      MLXD_KV_CACHE_BYTES: String(64 * mebibyte),
      MLXD_PREFIX_CACHE_BYTES: String(16 * mebibyte),
      MLXD_PRELOAD: "none",
      MLXD_MEMORY_BUDGET: String(budget),
      ...growingBy(growth),
    });
    client = createMlxdClient({ baseUrl: service.url, retry: false });
  };

  const until = async (what: string, condition: () => Promise<boolean>): Promise<void> => {
    for (let attempt = 0; attempt < 1000; attempt++) {
      if (await condition()) return;
      await sleep(20);
    }
    assert.fail(`never: ${what}`);
  };

  const grow = async (): Promise<void> => {
    const before = (await client.getModel("demo")).residentBytes;
    const [pid = 0] = service.workers();
    process.kill(pid, "SIGUSR2");
    await until("measured", async () => (await client.getModel("demo")).residentBytes > before + growth / 2);
  };

  /** Generations of the demo model, one of which runs at any moment, until one is refused; gives its error. */
  const keepBusy = async (): Promise<MlxdError | undefined> => {
    let refused: MlxdError | undefined;
    const loop = async (maxOutputTokens: number): Promise<void> => {
      while (refused === undefined) {
        const stream = client.stream("1 2 3", { temperature: 1, seed: 1, ignoreEos: true, maxOutputTokens });
        let started = false;
        try {
          for await (const { type } of stream) started ||= type === "chunk";
        } catch (error) {
          assert(isMlxdError(error));
          assert.isFalse(started, "what runs goes on");
          refused = error;
        }
      }
    };
    await Promise.all([loop(1900), loop(1100), loop(700)]);
    return refused;
  };

  const askGemma = async (): Promise<void> => {
    const { prompt_ids: prompt = [], greedy_ids: expected = [] } = goldenRuns("gemma")[1] ?? {};
    const options = {
      model: "gemma",
      temperature: 0,
      ignoreEos: true,
      maxOutputTokens: expected.length,
      tokenIds: true,
    };
    assert.deepEqual([...(await client.generate({ tokens: [...prompt] }, options)).tokenIds], [...expected]);
  };

  it("has idle models make way, takes nothing new where none can, and gives all back when it is idle", async () => {
    await start();
    await client.loadModel("demo");
    const busy = keepBusy();
    await until("busy", async () => (await client.stats()).total?.running === 3);
    await client.loadModel("gemma");
    await askGemma();
    assert.lengthOf(service.workers(), 2);

    await grow();
    await until("gemma has left", async () => (await client.getModel("gemma")).state === "available");
    assert.lengthOf(service.workers(), 1, "its process is gone, too");
    assert.isAbove((await client.getModel("demo")).reservedBytes, growth);

    await grow();
    const refused = (await busy) ?? assert.fail("none was refused");
    assert.deepInclude(refused, { code: "RESOURCE_EXHAUSTED", reason: "MEMORY_BUDGET_EXCEEDED" });
    assert.strictEqual(refused.metadata["budgetBytes"], String(budget));
    assert.isAbove(Number(refused.metadata["residentBytes"]), 2 * growth);

    await until("demo has left", async () => service.workers().length === 0);
    await askGemma();
    assert.notEqual((await client.generate("What is 2+2?", { temperature: 0 })).text, "");
    assert.strictEqual((await client.stats()).pool?.loads, 4);
  });
});
