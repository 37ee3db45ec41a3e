import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Layer, Stream } from "effect";

import { Admission } from "../../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../../src/service/config/AdmissionConfig.ts";
import type { ModelsFile } from "../../../../src/service/config/config-file.ts";
import { DownloadConfig } from "../../../../src/service/config/DownloadConfig.ts";
import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import type { QualitySettings } from "../../../../src/service/config/QualityConfig.ts";
import { ConfigurationInvalid, ModelBroken } from "../../../../src/service/domain/errors.ts";
import type {
  LoadRequest,
  PrepareEvent,
  PrepareReport,
  PrepareRequest,
} from "../../../../src/service/domain/preparation.ts";
import type { EngineRequest } from "../../../../src/service/engine/Engine.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import { layerWith } from "../../../../src/service/models/download/download-models.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../../src/service/models/smoke/SmokeTests.ts";
import { Generations } from "../../../../src/service/pipeline/Generations.ts";
import { layer as embeddingsLayer } from "../../../../src/service/pipeline/run-embeddings.ts";
import { layer as generationsLayer } from "../../../../src/service/pipeline/run-generations.ts";
import { Preparations } from "../../../../src/service/pipeline/prepare/Preparations.ts";
import { layer as preparationsLayer } from "../../../../src/service/pipeline/prepare/run-preparations.ts";
import { Metrics } from "../../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../../src/service/telemetry/Stats.ts";
import { checkpointFiles, writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { openAccess } from "../../../support/open-access.ts";
import { capturedLog } from "../../../support/captured-log.ts";
import { type FileFault, hubCommit, type HubScript, startHubServer } from "../../../support/hub-server.ts";
import { quality } from "../../../support/quality.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { makeScriptedEngine, type Script, type ScriptedEngine } from "../../../support/scripted-engine.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { chat, message, task } from "../../../support/tasks.ts";

const repository = Object.fromEntries(
  Object.entries({ ...checkpointFiles, "filler.safetensors": Buffer.alloc(10) }).map(([path, content]) => [
    path,
    content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content)),
  ]),
);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-prepare-"));
  writeCheckpoint(join(folder, "here"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface World {
  /** What the engine says. */
  readonly script?: Script;
  readonly start?: Effect.Effect<void, ModelBroken>;
  readonly hub?: Partial<HubScript>;
  /** What mlxd.yaml says of models. */
  readonly declared?: ModelsFile["models"];
  readonly defaultModel?: string;
  readonly quality?: Partial<QualitySettings>;
}

interface Inside {
  readonly engine: ScriptedEngine;
  /** Requests that the hub got. */
  readonly asked: () => number;
}

const fileWith = (models: ModelsFile["models"]): ModelsFile => ({
  directory: folder,
  models,
  families: {},
  backends: new Map(),
  invalid: (path, problem) => new ConfigurationInvalid({ file: "mlxd.yaml", line: 1, key: path.join("."), problem }),
});

const withService = <A, E>(
  {
    script = ["2+2는 ", "4입니다."],
    start = Effect.void,
    hub = {},
    declared = {},
    defaultModel = "here",
    quality: tried = {},
  }: World,
  test: (inside: Inside) => Effect.Effect<A, E, Preparations | Models | Generations>,
) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.promise(() => startHubServer({ repositories: { "org/new": repository }, lfsFrom: 1000, ...hub })),
      (each) => Effect.promise(() => each[Symbol.asyncDispose]()),
    );
    const engine = yield* makeScriptedEngine(script);
    const settings = {
      endpoint: server.url,
      token: undefined,
      offline: false,
      concurrency: 2,
      cacheDirectory: join(folder, ".cache"),
    };
    const engines = Layer.succeed(Engines, tokenEngines({ start: () => Effect.as(start, engine) }));
    const models = Layer.mergeAll(
      ModelPool.layer.pipe(Layer.provide([inlineSandbox, residency(), engines])),
      layerWith({ backoffMs: 1, maxAttempts: 2 }).pipe(
        Layer.provide([Layer.succeed(DownloadConfig, settings), Metrics.layer]),
      ),
      SmokeTests.layer,
    ).pipe(Layer.provide(Layer.succeed(ModelsConfig, { directory: folder, defaultModel, file: fileWith(declared) })));
    const layer = preparationsLayer.pipe(
      Layer.provideMerge(Layer.mergeAll(generationsLayer, embeddingsLayer)),
      Layer.provide(Admission.layer),
      Layer.provideMerge(models),
      Layer.provide([
        Stats.layer,
        openAccess,
        Metrics.layer,
        Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 2 }),
        quality(tried),
        engines,
      ]),
      Layer.merge(capturedLog([])),
    );
    return yield* test({ engine, asked: () => server.requests.length }).pipe(Effect.provide(layer, { local: true }));
  });

const asItIs = { pinned: undefined, idleTtlMs: undefined };

const prepare = (model: string, request: Partial<PrepareRequest> = {}) =>
  Stream.unwrap(Effect.map(Preparations, (each) => each.prepare({ model, revision: "", retest: false, ...request })));
const eventsOf = (model: string, request: Partial<PrepareRequest> = {}) => Stream.runCollect(prepare(model, request));
const stagesOf = (events: ReadonlyArray<PrepareEvent>) =>
  events.flatMap((event) => (event.type === "stage" ? [event.stage] : []));
const reportOf = (events: ReadonlyArray<PrepareEvent>): PrepareReport => {
  const last = events.at(-1);
  if (last?.type !== "report") throw new Error("the last event is no report");
  assert.lengthOf(
    events.filter(({ type }) => type === "report"),
    1,
  );
  return last;
};

const talk = task({ model: "here", input: chat(message("user", "Hi")) });
const generate = (asked: typeof talk) => Effect.flatMap(Generations, (generations) => generations.run(asked));

const load = (model: string, options: Partial<LoadRequest> = {}) =>
  Effect.flatMap(Preparations, (each) => each.load({ model, pinned: undefined, idleTtlMs: undefined, ...options }));

/** What differs from one run to the next. */
const untimed = ({ timings, stageLogs, model, ...report }: PrepareReport) => ({
  ...report,
  id: model?.facts.id,
  stages: timings.map(({ stage }) => stage),
  logs: stageLogs.map(({ stage, message, extra }) => ({ stage, message, extra })),
});

describe("a preparation", () => {
  it.live("downloads, loads and tries a model that is not here, which the catalog then has", () =>
    withService({}, ({ engine }) =>
      Effect.gen(function* () {
        const events = yield* eventsOf("org/new");
        assert.deepEqual(stagesOf(events), [
          "resolving",
          "engine-check",
          "downloading",
          "model-loading",
          "smoke-test",
          "ready",
        ]);
        const progress = events.filter((event) => event.type === "progress").at(-1);
        assert.deepInclude(progress, { filesDone: 4, filesTotal: 4 });
        assert.strictEqual(progress?.bytesDone, progress?.bytesTotal);
        const report = reportOf(events);
        assert.deepInclude(report, {
          stage: "ready",
          downloaded: true,
          loaded: true,
          readyToChat: true,
          error: undefined,
        });
        assert.deepInclude(report.smokeTest, { quality: "ok", reason: "ok", answer: "2+2는 4입니다." });
        assert.deepInclude(report.model?.facts, { id: "org--new", source: "org/new" });
        assert.deepEqual(
          report.timings.map(({ stage }) => stage),
          stagesOf(events).slice(0, -1),
        );
        const models = yield* Models;
        assert.strictEqual((yield* models.get("org/new")).state, "active");
        assert.deepEqual(
          (yield* models.list).map(({ facts }) => facts.id),
          ["here", "org--new"],
        );
        assert.lengthOf(engine.requests, 1);
      }),
    ),
  );

  it.live("of a model that is here asks the hub nothing, and does not try it twice", () =>
    withService({}, ({ engine, asked }) =>
      Effect.gen(function* () {
        for (const model of ["here", "", " Here\n"]) {
          const events = yield* eventsOf(model);
          assert.deepEqual(stagesOf(events), ["resolving", "engine-check", "model-loading", "smoke-test", "ready"]);
          assert.deepInclude(reportOf(events), { downloaded: false, loaded: true });
        }
        assert.lengthOf(engine.requests, 1);
        yield* eventsOf("here", { retest: true });
        assert.lengthOf(engine.requests, 2);
        assert.strictEqual(asked(), 0);
        const { facts } = yield* (yield* Models).get("here");
        assert.strictEqual((yield* Preparations).smokeTestOf(facts)?.quality, "ok");
      }),
    ),
  );

  it.live("asks the documented question, without sampling by chance", () =>
    withService({}, ({ engine }) =>
      Effect.gen(function* () {
        yield* eventsOf("here");
        const [request] = engine.requests;
        assert.strictEqual(promptOf(request), "한국어로 한 문장만 답해. 2+2는?");
        assert.strictEqual(request?.parameters.seed, 0);
        assert.strictEqual(request?.cache.mode, "bypass");
      }),
    ),
  );

  it.live("reads no more of an answer than it takes to know that it is of no use", () =>
    withService({ script: Array.from({ length: 400 }, () => "I do not know. ") }, () =>
      Effect.gen(function* () {
        const { smokeTest } = reportOf(yield* eventsOf("here"));
        assert.deepInclude(smokeTest, { quality: "failed", reason: "severe repetition" });
        assert.isBelow(smokeTest?.answer.length ?? 0, 500);
      }),
    ),
  );

  it.live("asks the operator's question and awaits the operator's answers", () =>
    withService(
      { script: ["It is Paris."], quality: { smokeQuestion: "Capital of France?", smokeAnswers: ["Paris"] } },
      ({ engine }) =>
        Effect.gen(function* () {
          assert.strictEqual(reportOf(yield* eventsOf("here")).smokeTest?.quality, "ok");
          const [request] = engine.requests;
          assert.strictEqual(promptOf(request), "Capital of France?");
        }),
    ),
  );

  /** The fixture's tokenizer has a token for each byte, whose id it is. */
  const promptOf = (request: EngineRequest | undefined): string =>
    Buffer.from(request?.promptTokenIds ?? []).toString("utf8");

  it.live("reports what the name came to, what was fetched and all that was told", () =>
    withService({ declared: { chat: { repository: "org/new", aliases: ["bot"] } } }, () =>
      Effect.gen(function* () {
        const report = reportOf(yield* eventsOf(" BOT"));
        assert.deepInclude(report, {
          status: "ok",
          current: "chat",
          message: 'model "chat" is ready',
          compatibilityStatus: "ok",
          resolution: {
            inputId: " BOT",
            engine: "local_mlx",
            provider: "local_mlx",
            resolvedModel: "org/new",
            downloadId: "org/new",
            loadId: "org/new",
            expectedCurrent: "chat",
            displayName: " BOT",
            metadata: { engine_hint: "mlx" },
          },
          installResult: { engine: "local_mlx", version: "0.0.0", installed: false },
          downloadResult: {
            repository: "org/new",
            revision: hubCommit,
            files: 4,
            // Weights that the model does not have are not fetched.
            bytes: Object.values(repository).reduce((sum, { length }) => sum + length, -10),
            fromCache: false,
          },
        });
        assert.deepEqual(
          report.stageLogs.map(({ stage, message }) => `${stage}: ${message}`),
          [
            "resolving: looking for the model",
            "engine-check: looking at the engine that will run it",
            "engine-check: engine local_mlx 0.0.0",
            "downloading: fetching its files",
            `downloading: fetching 4 files of org/new at ${hubCommit}`,
            "model-loading: loading it into its engine",
            "smoke-test: asking it a question",
            'ready: model "chat" is ready',
          ],
        );
        const again = reportOf(yield* eventsOf("org/new"));
        assert.deepInclude(again, { downloaded: false, downloadResult: undefined, compatibilityStatus: "ok" });
        assert.strictEqual(again.resolution?.inputId, "org/new");
      }),
    ),
  );

  it.live("reports what it came to where it fails", () =>
    withService({ hub: { refuse: () => ({ status: 401, headers: { "x-error-code": "GatedRepo" } }) } }, () =>
      Effect.gen(function* () {
        const report = reportOf(yield* eventsOf("local-mlx:org/new"));
        assert.deepInclude(report, {
          status: "failed",
          current: "",
          message: report.error?.message ?? "",
          compatibilityStatus: "unknown",
          installResult: undefined,
          downloadResult: undefined,
        });
        assert.deepInclude(report.resolution, { resolvedModel: "org/new", expectedCurrent: "org/new" });
        assert.strictEqual((yield* Effect.flip(eventsOf("ollama:org/new")))._tag, "UnknownBackend");
      }),
    ),
  );

  it.live("is what a load is, with the same report", () =>
    withService({}, ({ engine }) =>
      Effect.gen(function* () {
        yield* eventsOf("here", { retest: true });
        const models = yield* Models;
        yield* models.unload("here", { drainMs: 0, force: true });
        const { model, report } = yield* load("here", { pinned: true, idleTtlMs: 5_000 });
        assert.deepInclude(model, { state: "active", pinned: true, idleTtlMs: 5_000 });
        assert.deepEqual(untimed(report), untimed(reportOf(yield* eventsOf("here"))));
        assert.deepInclude(report, { stage: "ready", loaded: true, current: "here" });
        assert.lengthOf(engine.requests, 1, "tried once at its revision");
        assert.strictEqual(model.useCount, 0);
      }),
    ),
  );

  it.live("tries a model that is loaded by a call, which keeps conversations from it if it fails", () =>
    withService({ script: ["assistant: 4"] }, () =>
      Effect.gen(function* () {
        const { model, report } = yield* load("here");
        assert.strictEqual(model.state, "active");
        assert.deepInclude(report, {
          stage: "failed",
          loaded: true,
          readyToChat: false,
          compatibilityStatus: "failed",
        });
        assert.deepInclude((yield* Preparations).compatibilityOf(model), {
          key: "local_mlx:here",
          loaded: true,
          chatCompatible: false,
          qualityStatus: "failed",
          lastTestError: "role marker leakage",
        });
        assert.strictEqual((yield* Effect.flip(generate(talk)))._tag, "ModelUnfit");
      }),
    ),
  );

  it.live("of a load fails as the load does, and downloads nothing", () =>
    withService(
      {
        start: Effect.fail(new ModelBroken({ model: "here", cause: "no such architecture" })),
        declared: { chat: { repository: "org/new" } },
      },
      ({ asked }) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Effect.flip(load("here")))._tag, "ModelBroken");
          assert.strictEqual((yield* Effect.flip(load("chat")))._tag, "ModelNotDownloaded");
          assert.strictEqual((yield* Effect.flip(load("org/other")))._tag, "ModelNotFound");
          assert.strictEqual(asked(), 0);
        }),
    ),
  );

  it.live("of many models reports each, and the good ones are loaded", () =>
    withService({ declared: { chat: { repository: "org/new" } } }, () =>
      Effect.gen(function* () {
        writeCheckpoint(join(folder, "other"));
        const models = yield* Models;
        yield* models.rescan;
        const names = ["here", "heer", " OTHER ", "chat", ""];
        const preloaded = yield* Stream.runCollect((yield* Preparations).preload(names));
        assert.deepEqual(
          preloaded.map(({ index, name, report }) => [index, name, report.stage, report.error?._tag, report.current]),
          [
            [0, "here", "ready", undefined, "here"],
            [1, "heer", "failed", "ModelNotFound", ""],
            [2, " OTHER ", "ready", undefined, "other"],
            [3, "chat", "failed", "ModelNotDownloaded", ""],
            [4, "", "ready", undefined, "here"],
          ],
        );
        assert.strictEqual(preloaded[1]?.report.message, preloaded[1]?.report.error?.message);
        const states = (yield* models.list).map(({ facts, state }) => [facts.id, state]);
        assert.deepEqual(states, [
          ["chat", "not-downloaded"],
          ["here", "active"],
          ["other", "active"],
        ]);
      }),
    ),
  );

  it.live("is none of the uses that are counted", () =>
    withService({}, () =>
      Effect.gen(function* () {
        const models = yield* Models;
        const uses = Effect.map(models.get("here"), ({ useCount }) => useCount);
        yield* load("here");
        assert.strictEqual(yield* uses, 0);
        yield* generate(talk);
        yield* generate(talk);
        assert.strictEqual(yield* uses, 2);
        yield* load("here");
        assert.strictEqual(yield* uses, 2);
        yield* models.unload("here", { drainMs: 0, force: true });
        assert.strictEqual(yield* uses, 0);
        yield* generate(talk);
        assert.strictEqual(yield* uses, 1);
      }),
    ),
  );

  it.live("keeps conversations from a model that fails, until it is tried again with success", () =>
    Effect.gen(function* () {
      yield* withService({ script: ["assistant: 4"] }, ({ engine }) =>
        Effect.gen(function* () {
          yield* generate(talk);
          assert.strictEqual(reportOf(yield* eventsOf("here")).stage, "failed");
          const asked = engine.requests.length;
          const error = yield* Effect.flip(generate(talk));
          assert.deepInclude(error, { _tag: "ModelUnfit", model: "here", finding: "role marker leakage" });
          assert.match(error.message, /failed its smoke test: role marker leakage; PrepareModel tries it again/);
          const generations = yield* Generations;
          const streamed = generations.stream(talk);
          assert.strictEqual((yield* Effect.flip(Stream.runCollect(streamed)))._tag, "ModelUnfit");
          assert.lengthOf(engine.requests, asked, "the engine is not asked");
          const { facts } = yield* (yield* Models).get("here");
          assert.isTrue((yield* Preparations).refusesChat(facts));
          // One with an adapter comes as far as its adapter, which there is not.
          assert.strictEqual((yield* Effect.flip(generate({ ...talk, adapter: "x" })))._tag, "AdapterNotFound");
          yield* generate(task({ model: "here" }));
          yield* generate(task({ model: "here", input: { type: "tokens", ids: [1, 2] } }));
        }),
      );
      // After a restart it still holds, and the next preparation tries the model although nobody asked for a retest.
      yield* withService({}, () =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Effect.flip(generate(talk)))._tag, "ModelUnfit");
          assert.strictEqual(reportOf(yield* eventsOf("here")).stage, "ready");
          assert.strictEqual((yield* generate(talk)).candidates[0]?.text, "2+2는 4입니다.");
        }),
      );
    }),
  );

  it.live("keeps no conversations from a model that is degraded, nor where that is switched off", () =>
    Effect.gen(function* () {
      yield* withService({ script: ["five"] }, () =>
        Effect.gen(function* () {
          assert.strictEqual(reportOf(yield* eventsOf("here")).stage, "degraded");
          yield* generate(talk);
        }),
      );
      yield* withService({ script: ["assistant: 4"], quality: { smokeBlocksChat: false } }, () =>
        Effect.gen(function* () {
          assert.strictEqual(reportOf(yield* eventsOf("here", { retest: true })).stage, "failed");
          yield* generate(talk);
        }),
      );
    }),
  );

  it.live("ends degraded or failed as the answer is, and tries a failed model again", () =>
    Effect.gen(function* () {
      yield* withService({ script: ["five"] }, () =>
        Effect.gen(function* () {
          const report = reportOf(yield* eventsOf("here"));
          assert.deepInclude(report, { stage: "degraded", readyToChat: true, error: undefined });
          assert.strictEqual(report.smokeTest?.reason, "answer did not contain expected result");
        }),
      );
      yield* withService({ script: ["4<|im_end|", ">x"] }, ({ engine }) =>
        Effect.gen(function* () {
          const report = reportOf(yield* eventsOf("org/new"));
          assert.deepInclude(report, { stage: "failed", downloaded: true, loaded: true, readyToChat: false });
          assert.isUndefined(report.error);
          assert.strictEqual(report.smokeTest?.quality, "failed");
          yield* eventsOf("org/new");
          assert.lengthOf(engine.requests, 2);
        }),
      );
    }),
  );

  it.live("downloads a model that is declared by its repository, and is asked for until then", () => {
    const declared = { chat: { repository: "org/new", aliases: ["bot"] } };
    const fault = (path: string): FileFault | undefined => (path === "config.json" ? { delayMs: 200 } : undefined);
    return withService({ declared, hub: { fault } }, () =>
      Effect.gen(function* () {
        const models = yield* Models;
        const here = yield* models.get("bot");
        assert.deepInclude(here, { state: "not-downloaded", download: { repository: "org/new", revision: "" } });
        assert.include(here.stateReason, "PrepareModel downloads it from org/new");
        const refused = { _tag: "ModelNotDownloaded", model: "chat", repository: "org/new" } as const;
        assert.deepInclude(yield* Effect.flip(models.use("chat")), refused);
        assert.deepInclude(yield* Effect.flip(models.load("chat", asItIs)), refused);
        assert.deepInclude(yield* Effect.flip(models.fit("chat")), refused);

        const states = new Set<string>();
        yield* Effect.forkChild(
          Stream.runForEach(models.changes, (now) => Effect.sync(() => states.add(now.get("chat")?.state ?? ""))),
        );
        const report = reportOf(yield* eventsOf("bot"));
        assert.deepInclude(report, { stage: "ready", downloaded: true });
        assert.deepInclude(report.model?.files, { id: "chat", source: "org/new", directory: join(folder, "org--new") });
        assert.deepEqual([...states], ["not-downloaded", "downloading", "available", "loading", "active"]);
        assert.deepEqual(
          (yield* models.list).map(({ facts, state }) => [facts.id, state]),
          [
            ["chat", "active"],
            ["here", "available"],
          ],
        );
      }),
    );
  });

  it.live("downloads the revision that is declared, where the call names none", () =>
    withService({ declared: { "org/new": { revision: "v9" } } }, () =>
      Effect.gen(function* () {
        assert.strictEqual(reportOf(yield* eventsOf("org/new")).error?._tag, "InvalidField");
        const report = reportOf(yield* eventsOf("org/new", { revision: "main" }));
        assert.deepInclude(report, { stage: "ready", downloaded: true });
        assert.strictEqual(report.model?.facts.id, "org/new");
      }),
    ),
  );

  it.live("reports that a download does not fit the catalog, which stays as it was", () =>
    withService({ declared: { chat: { path: "here", aliases: ["org--new"] } }, defaultModel: "chat" }, () =>
      Effect.gen(function* () {
        const report = reportOf(yield* eventsOf("org/new"));
        assert.deepInclude(report, { stage: "failed", downloaded: true, loaded: false, model: undefined });
        assert.strictEqual(report.error?._tag, "ConfigurationInvalid");
      }),
    ),
  );

  it.live("that cannot load the model reports that, and what it came to", () =>
    withService({ start: Effect.fail(new ModelBroken({ model: "org--new", cause: "no such architecture" })) }, () =>
      Effect.gen(function* () {
        const events = yield* eventsOf("org/new");
        assert.deepEqual(stagesOf(events).slice(-2), ["model-loading", "failed"]);
        const report = reportOf(events);
        assert.deepInclude(report, { stage: "failed", downloaded: true, loaded: false, readyToChat: false });
        assert.strictEqual(report.error?._tag, "ModelBroken");
        assert.strictEqual(report.model?.state, "failed");
      }),
    ),
  );

  it.live("that the hub refuses reports that", () =>
    withService({ hub: { refuse: () => ({ status: 401, headers: { "x-error-code": "GatedRepo" } }) } }, () =>
      Effect.gen(function* () {
        const events = yield* eventsOf("org/new");
        assert.deepEqual(stagesOf(events), ["resolving", "failed"]);
        assert.deepInclude(reportOf(events), { downloaded: false, loaded: false, model: undefined });
        assert.strictEqual(reportOf(events).error?._tag, "ModelAccessDenied");
      }),
    ),
  );

  it.live("does not begin for names and revisions that nothing can have", () =>
    withService({}, ({ asked }) =>
      Effect.gen(function* () {
        const failures: ReadonlyArray<readonly [string, string, string]> = [
          ["heer", "", "ModelNotFound"],
          ["../etc/x", "", "InvalidField"],
          ["org/a..b", "", "InvalidField"],
          ["org/new", "../x", "InvalidField"],
          ["here", "main", "ModelRevisionMismatch"],
        ];
        for (const [model, revision, tag] of failures) {
          const events: PrepareEvent[] = [];
          const stream = prepare(model, { revision });
          const error = yield* Effect.flip(Stream.runForEach(stream, (event) => Effect.sync(() => events.push(event))));
          assert.strictEqual(error._tag, tag, model);
          assert.deepEqual(events, []);
        }
        assert.strictEqual(asked(), 0);
      }),
    ),
  );

  it.live("takes a revision that is here, and does not replace it by another", () =>
    withService({}, () =>
      Effect.gen(function* () {
        yield* eventsOf("org/new");
        const { facts } = yield* (yield* Models).get("org/new");
        for (const revision of ["main", hubCommit, facts.revision]) {
          assert.deepInclude(reportOf(yield* eventsOf("org/new", { revision })), { stage: "ready", downloaded: false });
        }
        const other = reportOf(yield* eventsOf("org--new", { revision: "v9" }));
        assert.strictEqual(other.error?._tag, "InvalidField");
      }),
    ),
  );

  it.live("is joined by those who come later, who are told all that went before", () =>
    withService({ script: [{ pause: true }, "4"] }, ({ engine }) =>
      Effect.gen(function* () {
        const asking = yield* Deferred.make<void>();
        const firstEvents: PrepareEvent[] = [];
        const first = yield* Effect.forkChild(
          Stream.runForEach(prepare("org/new"), (event) =>
            Effect.sync(() => {
              firstEvents.push(event);
              if (event.type === "stage" && event.stage === "smoke-test") Deferred.doneUnsafe(asking, Effect.void);
            }),
          ),
        );
        yield* Deferred.await(asking);
        // By now it has its id: the second caller's request is the same by another name.
        const second = yield* Effect.forkChild(eventsOf("org/new"));
        yield* Effect.sleep(50);
        yield* engine.resume;
        const secondEvents = yield* Fiber.join(second);
        yield* Fiber.join(first);
        assert.lengthOf(engine.requests, 1);
        assert.deepEqual(stagesOf(secondEvents), stagesOf(firstEvents));
        // The catalog has it by now.
        const expected = { ...reportOf(firstEvents).resolution, metadata: { engine_hint: "mlx" } };
        assert.deepEqual<unknown>(reportOf(secondEvents), { ...reportOf(firstEvents), resolution: expected });
      }),
    ),
  );

  it.live("whose caller leaves stops, and the next one goes on", () => {
    const fault = (path: string, count: number): FileFault | undefined =>
      path === "model.safetensors" && count === 0 ? { cutAfter: 3000, hang: true } : undefined;
    return withService({ hub: { fault } }, ({ asked }) =>
      Effect.gen(function* () {
        const reached = yield* Deferred.make<void>();
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(prepare("org/new"), (event) =>
            Effect.sync(() => {
              if (event.type === "progress" && event.filesDone === 3) Deferred.doneUnsafe(reached, Effect.void);
            }),
          ),
        );
        yield* Deferred.await(reached);
        yield* Fiber.interrupt(fiber);
        const before = asked();
        const report = reportOf(yield* eventsOf("org/new"));
        assert.deepInclude(report, { stage: "ready", downloaded: true });
        // The revision, the files, the weights' place and the weights.
        assert.strictEqual(asked() - before, 4);
        const got = readFileSync(join(folder, "org--new", "model.safetensors"));
        assert.isTrue(got.equals(Buffer.from(repository["model.safetensors"] ?? [])));
      }),
    );
  });
});
