import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { ModelBroken } from "../../../src/service/domain/errors.ts";
import type { PrepareEvent, PrepareReport, PrepareRequest } from "../../../src/service/domain/preparation.ts";
import type { SmokeTest } from "../../../src/service/domain/smoke-test.ts";
import type { MlxdClient, PreparationReport } from "../../../src/client/index.ts";
import { createMlxdClient } from "../../../src/client/node.ts";
import { collect } from "../../support/collect.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { prepareReport } from "../../support/prepare-report.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

const smokeTest: SmokeTest = {
  quality: "degraded",
  reason: "mild repetition",
  answer: "4",
  testedAt: 1_700_000_000_000,
  durationMs: 12,
};

const events: ReadonlyArray<PrepareEvent> = [
  { type: "stage", stage: "resolving", message: "looking for the model", elapsedMs: 0 },
  { type: "progress", bytesDone: 2 ** 40, bytesTotal: 2 ** 41, filesDone: 1, filesTotal: 3, elapsedMs: 4 },
  { type: "log", stage: "engine-check", message: "engine mlx", extra: { version: "1" }, elapsedMs: 5 },
  prepareReport({
    stage: "degraded",
    status: "degraded",
    resolution: {
      inputId: "Demo",
      engine: "local_mlx",
      provider: "local_mlx",
      resolvedModel: "demo",
      downloadId: "demo",
      loadId: "demo",
      expectedCurrent: "demo",
      displayName: "Demo",
      metadata: { engine_hint: "mlx" },
    },
    model: modelStatus("demo"),
    current: "demo",
    message: "it answers",
    downloaded: true,
    loaded: true,
    compatibilityStatus: "degraded",
    smokeTest,
    timings: [{ stage: "resolving", durationMs: 5 }],
    stageLogs: [{ stage: "engine-check", message: "engine mlx", extra: { version: "1" }, elapsedMs: 5 }],
    installResult: { engine: "local_mlx", version: "1", installed: false },
    downloadResult: { repository: "org/demo", revision: "abc", files: 4, bytes: 2 ** 41, fromCache: true },
  }),
];
const cause = "/srv/secret/config.json is missing";
const broken = prepareReport({
  stage: "failed",
  status: "failed",
  readyToChat: false,
  message: cause,
  stageLogs: [{ stage: "failed", message: cause, extra: {}, elapsedMs: 1 }],
  error: new ModelBroken({ model: "broken", cause }),
});

let server: TestServer;
let client: MlxdClient;
let left = 0;
const requests: PrepareRequest[] = [];
beforeAll(async () => {
  server = await startTestServer({
    models: () => [modelStatus("demo"), modelStatus("unfit")],
    smokeTests: { demo: smokeTest },
    unfit: ["unfit"],
    prepare: ({ model, revision, retest }) => {
      requests.push({ model, revision, retest });
      if (model === "broken") return Stream.make(broken);
      const all = Stream.fromIterable(events);
      return model === "slow"
        ? Stream.concat(Stream.take(all, 1), Stream.never).pipe(Stream.ensuring(Effect.sync(() => (left += 1))))
        : all;
    },
  });
  client = createMlxdClient({ baseUrl: server.url });
});
afterAll(async () => {
  client.close();
  await server.close();
});

describe("PrepareModel", () => {
  it("tells each event, and the model with its smoke test", async () => {
    const told = await collect(client.prepareModel("demo", { revision: "main", retest: true }));
    assert.deepEqual(requests.at(-1), { model: "demo", revision: "main", retest: true });
    assert.deepEqual<unknown>(told.slice(0, 3), [
      events[0],
      events[1],
      { type: "log", stage: "engine_check", message: "engine mlx", extra: { version: "1" }, elapsedMs: 5 },
    ]);
    const report = told.at(-1);
    const expected = { ...smokeTest, testedAt: new Date(smokeTest.testedAt) };
    const { type: _, model: __, ...plain } = events[3] as PrepareReport;
    const { model: ___, ...got } = report as PreparationReport & { readonly type?: string };
    assert.deepEqual<unknown>(got, {
      ...plain,
      type: "report",
      smokeTest: expected,
      stageLogs: [{ ...plain.stageLogs[0], stage: "engine_check" }],
    });
    assert.deepEqual(report?.type === "report" && report.model?.smokeTest, expected);
    assert.deepEqual((await client.getModel("demo")).smokeTest, expected);
    assert.deepEqual((await client.listModels())[0]?.smokeTest, expected);
  });

  it("tells which models are given no conversations", async () => {
    assert.deepEqual(
      (await client.listModels()).map(({ id, chatRefused }) => [id, chatRefused]),
      [
        ["demo", false],
        ["unfit", true],
      ],
    );
  });

  it("tells a failure in the report as a call of its own would have", async () => {
    const report = await client.prepareModel("broken").collect();
    assert.deepInclude(report.error, { code: "FAILED_PRECONDITION", reason: "MODEL_BROKEN" });
    assert.notInclude(JSON.stringify([report, report.error?.message]), "/srv");
  });

  it("ends when its caller leaves", async () => {
    for await (const event of client.prepareModel("slow")) {
      assert.strictEqual(event.type, "stage");
      break;
    }
    while (left === 0) await new Promise(setImmediate);
  });

  it("refuses fields over their bounds by name", async () => {
    const error = await client
      .prepareModel("demo", { revision: "x".repeat(257) })
      .collect()
      .catch((cause: unknown) => cause);
    assert.deepInclude(error, { reason: "INVALID_FIELD" });
    assert.match(String(error), /revision/);
  });
});
