/** The whole way: a service without any model downloads one from a hub, loads it and answers with it. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import type { MlxdClient } from "../../src/client/index.ts";
import { createMlxdClient } from "../../src/client/node.ts";
import { collect } from "../support/collect.ts";
import { goldenRepository } from "../support/golden-repository.ts";
import { writeHubCache } from "../support/hub-cache.ts";
import { type HubServer, startHubServer } from "../support/hub-server.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const golden = goldenRepository("gemma3-float16");
const id = "org--gemma3-float16";
let folder = "";
let hub: HubServer;
let service: RunningService;
let client: MlxdClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-prepare-"));
  hub = await startHubServer({
    repositories: { "org/gemma3-float16": golden },
    fault: (path, count) => (path === "model.safetensors" && count < 2 ? { cutAfter: 40_000 } : undefined),
  });
  service = await startService({ MLXD_MODELS: folder, HF_ENDPOINT: hub.url, HF_TOKEN: "hf_secret" });
  client = createMlxdClient({ baseUrl: service.url });
});
afterAll(async () => {
  client.close();
  await service.stop();
  await hub[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

describe("a service that is offline", () => {
  it("prepares what the hub's other clients have fetched to the machine", async () => {
    const home = mkdtempSync(join(tmpdir(), "mlxd-hf-home-"));
    writeHubCache(join(home, "hub"), "org/cached", golden);
    const models = join(home, "models");
    mkdirSync(models);
    // A hub that nobody listens at: a request would fail.
    const offline = await startService({
      MLXD_MODELS: models,
      MLXD_OFFLINE: "true",
      HF_HOME: home,
      HF_ENDPOINT: "http://127.0.0.1:1",
    });
    const caller = createMlxdClient({ baseUrl: offline.url });
    const { downloaded, loaded, model } = await caller.prepareModel("org/cached").collect();
    assert.deepInclude({ downloaded, loaded }, { downloaded: true, loaded: true });
    assert.deepInclude(model, { id: "org--cached", state: "active", source: "org/cached" });
    const refused = await caller.prepareModel("org/other").collect();
    assert.deepInclude(refused.error, { reason: "DOWNLOADS_OFF" });
    caller.close();
    await offline.stop();
    rmSync(home, { recursive: true, force: true });
  });
});

describe("a service without a model", () => {
  it("prepares one from the hub and answers with it", async () => {
    assert.deepEqual(await client.listModels(), []);
    const events = await collect(client.prepareModel("org/gemma3-float16"));
    const stages = events.flatMap((event) => (event.type === "stage" ? [event.stage] : []));
    // What weights by chance say is of no use: that is for the smoke test to find.
    assert.deepEqual(stages.slice(0, 5), ["resolving", "engine_check", "downloading", "model_loading", "smoke_test"]);
    const report = events.at(-1);
    if (report?.type !== "report") throw new Error("there is no report");
    assert.deepInclude(report, { downloaded: true, loaded: true, error: undefined });
    assert.include(["degraded", "failed"], report.smokeTest?.quality);
    assert.deepInclude(report.model, { id, state: "active", isDefault: true, source: "org/gemma3-float16" });
    assert.strictEqual(
      sha256(readFileSync(join(folder, id, "model.safetensors"))),
      sha256(golden["model.safetensors"] ?? Buffer.alloc(0)),
    );
    const { usage } = await client.generate({ prompt: "a" }, { maxOutputTokens: 2 });
    assert.strictEqual(usage.outputTokens, 2);
    const model = await client.getModel("");
    assert.deepEqual(model.smokeTest, report.smokeTest);
    // Which of the two it is depends on the machine's arithmetic.
    assert.strictEqual(model.chatRefused, report.smokeTest?.quality === "failed");
    const chat = await client.generate("a", { maxOutputTokens: 2 }).catch((error: unknown) => error);
    if (model.chatRefused) {
      assert.deepInclude(chat, { reason: "MODEL_UNFIT", code: "FAILED_PRECONDITION" });
      assert.include(String(chat), report.smokeTest?.reason ?? "");
    } else assert.nestedPropertyVal(chat, "usage.outputTokens", 2);
    assert.isTrue(
      hub.requests.every(({ server, authorization }) => (authorization === "Bearer hf_secret") === (server === "hub")),
    );
  });
});
