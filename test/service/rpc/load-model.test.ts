import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import type { MlxdClient } from "../../../src/client/index.ts";
import { createMlxdClient } from "../../../src/client/node.ts";
import { ModelBroken, ModelNotFound } from "../../../src/service/domain/errors.ts";
import type { ModelState } from "../../../src/service/domain/model.ts";
import type { LoadRequest } from "../../../src/service/domain/preparation.ts";
import type { SmokeTest } from "../../../src/service/domain/smoke-test.ts";
import { collect } from "../../support/collect.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { prepareReport } from "../../support/prepare-report.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

const smokeTest: SmokeTest = {
  quality: "failed",
  reason: "empty response",
  answer: "",
  testedAt: 1_700_000_000_000,
  durationMs: 12,
};
const failed = prepareReport({
  stage: "failed",
  status: "failed",
  current: "demo",
  loaded: true,
  readyToChat: false,
  message: "its answer is of no use",
  compatibilityStatus: "failed",
  smokeTest,
});

const listed = (id: string, state: ModelState, lastUsedAt: number | undefined, useCount: number) =>
  modelStatus(id, { state, lastUsedAt, useCount });

let server: TestServer;
let client: MlxdClient;
let left = 0;
const loads: LoadRequest[] = [];
beforeAll(async () => {
  server = await startTestServer({
    models: () => [
      listed("first", "active", 1_000, 5),
      listed("idle", "available", 9_000, 0),
      listed("demo", "active", 3_000, 2),
      listed("going", "draining", 2_000, 1),
      listed("coming", "loading", undefined, 0),
      listed("broken", "failed", 4_000, 0),
    ],
    smokeTests: { demo: smokeTest },
    load: (request) => {
      loads.push(request);
      return request.model === "broken"
        ? Effect.fail(new ModelBroken({ model: "broken", cause: "no such architecture" }))
        : Effect.succeed({ model: modelStatus("demo", { state: "active" }), report: failed });
    },
    preload: (names) =>
      Stream.fromIterable(names.entries()).pipe(
        Stream.mapEffect(([index, name]) => {
          if (name === "slow") return Effect.onInterrupt(Effect.never, () => Effect.sync(() => (left += 1)));
          const error = name === "demo" ? undefined : new ModelNotFound({ model: name, nearest: ["demo"] });
          return Effect.succeed({ index, name, report: prepareReport({ error, stage: error ? "failed" : "ready" }) });
        }),
      ),
  });
  client = createMlxdClient({ baseUrl: server.url });
});
afterAll(async () => {
  client.close();
  await server.close();
});

describe("LoadModel", () => {
  it("tells the model and the report of its preparation", async () => {
    const { report, ...model } = await client.loadModel("demo", { pinned: true, idleTtlMs: 1_500 });
    assert.deepEqual(loads.at(-1), { model: "demo", pinned: true, idleTtlMs: 1_500 });
    assert.deepInclude(model, { id: "demo", state: "active", key: "local_mlx:demo" });
    const { type: _, ...expected } = failed;
    assert.deepEqual<unknown>(report, {
      ...expected,
      smokeTest: { ...smokeTest, testedAt: new Date(smokeTest.testedAt) },
    });
  });

  it("fails as the load does", async () => {
    const error = await client.loadModel("broken").catch((cause: unknown) => cause);
    assert.deepInclude(error, { reason: "MODEL_BROKEN" });
  });

  it("without a load has no report", async () => {
    const count = loads.length;
    await client.loadModel("demo");
    assert.lengthOf(loads, count + 1);
    const { report } = await client.raw.models.loadModel({ model: "demo", validateOnly: true }).catch(() => ({
      report: undefined,
    }));
    assert.isUndefined(report);
    assert.lengthOf(loads, count + 1);
  });
});

describe("PreloadModels", () => {
  it("tells one report for each name, in their order", async () => {
    const told = await collect(client.preloadModels(["demo", "dmo", "demo"]));
    assert.deepEqual(
      told.map(({ index, model, report }) => [index, model, report.stage, report.error?.reason]),
      [
        [0, "demo", "ready", undefined],
        [1, "dmo", "failed", "MODEL_NOT_FOUND"],
        [2, "demo", "ready", undefined],
      ],
    );
    assert.lengthOf(await client.preloadModels(["demo", "x"]).collect(), 2);
  });

  it("tells each as soon as it is there, and ends when its caller leaves", async () => {
    for await (const { model } of client.preloadModels(["demo", "slow"])) {
      assert.strictEqual(model, "demo");
      break;
    }
    while (left === 0) await new Promise(setImmediate);
  });

  it.each([[[]], [Array.from({ length: 101 }, () => "demo")], [["x".repeat(257)]]])(
    "refuses what is over its bounds",
    async (names) => {
      const error = await client
        .preloadModels(names)
        .collect()
        .catch((cause: unknown) => cause);
      assert.deepInclude(error, { reason: "INVALID_FIELD" });
      assert.match(String(error), /models/);
    },
  );

  it("takes a hundred names", async () => {
    assert.lengthOf(await client.preloadModels(Array.from({ length: 100 }, () => "demo")).collect(), 100);
  });
});

describe("ListLoadedModels", () => {
  it("lists what is in memory, the one that was used last first, with how often", async () => {
    assert.deepEqual(
      (await client.listLoadedModels()).map(({ id, state, useCount }) => [id, state, useCount]),
      [
        ["demo", "active", 2],
        ["going", "draining", 1],
        ["first", "active", 5],
        ["coming", "loading", 0],
      ],
    );
  });
});

describe("ListCompatibilityProfiles", () => {
  it("lists all models with how they did", async () => {
    const profiles = await client.listCompatibilityProfiles();
    assert.deepEqual(
      profiles.map(({ key, qualityStatus, chatCompatible, loaded }) => [key, qualityStatus, chatCompatible, loaded]),
      [
        ["local_mlx:first", "unknown", false, true],
        ["local_mlx:idle", "unknown", false, false],
        ["local_mlx:demo", "failed", false, true],
        ["local_mlx:going", "unknown", false, true],
        ["local_mlx:coming", "unknown", false, false],
        ["local_mlx:broken", "unknown", false, false],
      ],
    );
    assert.deepInclude(profiles[2], {
      modelId: "demo",
      engine: "local_mlx",
      template: "tokenizer_default",
      postprocess: ["strip_role_tokens"],
      lastTestError: "empty response",
      validatedAt: new Date(smokeTest.testedAt),
    });
    assert.notProperty(profiles[0], "validatedAt");
  });

  it("comes in pages", async () => {
    const first = await client.raw.models.listCompatibilityProfiles({ pageSize: 4 });
    const second = await client.raw.models.listCompatibilityProfiles({ pageSize: 4, pageToken: first.nextPageToken });
    assert.deepEqual([first.profiles.length, second.profiles.length, second.nextPageToken], [4, 2, ""]);
  });
});
