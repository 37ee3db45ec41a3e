/** Jobs of several models on a real service with room for one of them. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { collect } from "../support/collect.ts";
import { createModelFolder } from "../support/model-folder.ts";
import { startModelService } from "../support/model-service.ts";
import { until } from "../support/until.ts";

const start = () => startModelService(createModelFolder(["demo", "gemma"]), { MLXD_MAX_LOADED_MODELS: "1" });

const task = (model: string, index = 0) => ({
  input: { tokens: [5 + (index % 20), 6, 7] },
  model,
  maxOutputTokens: 4,
  ignoreEos: true,
});

/** Only what hangs takes as long. */
describe("jobs of several models", { timeout: 600_000 }, () => {
  it("that alternate load each of them once", async () => {
    await using running = await start();
    const { client } = running;
    const tasks = Array.from({ length: 40 }, (_, index) => task(index % 2 === 0 ? "demo" : "gemma", index));
    const { jobId } = await client.jobs.create(tasks);
    const results = await collect(client.jobs.results(jobId));
    assert.deepEqual(
      results.map(({ index, error }) => [index, error]),
      tasks.map((_, index) => [index, undefined]),
    );
    const { models } = await client.cache.stats();
    assert.deepInclude(models, { loads: 2, loadFailures: 0 });
    assert.sameDeepMembers(
      (models?.models ?? []).map(({ model, loads }) => [model, loads]),
      [
        ["demo", 1],
        ["gemma", 1],
      ],
    );
  });

  it("fail the items of a model that is removed while they wait, and run the others", async () => {
    await using running = await start();
    const { client, folder } = running;
    await client.loadModel("demo");
    // Now there is no room for another model.
    await client.pinModel("demo");
    const { jobId } = await client.jobs.create([task("gemma"), task("demo")]);
    await until(async () => (await client.jobs.get(jobId)).counts.completed === 1);
    assert.strictEqual((await client.jobs.get(jobId)).counts.pending, 1);
    rmSync(join(folder.directory, "gemma"));
    assert.deepEqual((await client.reloadCatalog()).removed, ["gemma"]);
    const [gone, other] = await collect(client.jobs.results(jobId));
    assert.strictEqual(gone?.error?.reason, "MODEL_NOT_FOUND");
    assert.isUndefined(other?.error);
  });
});
