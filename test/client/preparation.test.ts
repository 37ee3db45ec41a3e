import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, createRouterTransport } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import {
  ModelService,
  type PrepareModelRequest,
  type PrepareModelResponseSchema,
  PrepareStage,
  Quality,
} from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { createMlxdClientFromTransport, isMlxdError } from "../../src/client/index.ts";
import { collect } from "../support/collect.ts";

type Message = MessageInitShape<typeof PrepareModelResponseSchema>;

const stage = (value: PrepareStage, ms: number): Message => ({
  event: { case: "stage", value: { stage: value, elapsed: durationFromMs(ms) } },
});
const ready: Message = {
  event: {
    case: "report",
    value: {
      stage: PrepareStage.READY,
      model: { id: "org--new" },
      downloaded: true,
      loaded: true,
      readyToChat: true,
      smokeTest: {
        quality: Quality.OK,
        answer: "4",
        testedAt: timestampFromMs(1_700_000_000_000),
        duration: durationFromMs(40),
      },
      timings: [{ stage: PrepareStage.RESOLVING, duration: durationFromMs(3) }],
    },
  },
};
const failed: Message = {
  event: {
    case: "report",
    value: {
      stage: PrepareStage.FAILED,
      error: {
        code: Code.FailedPrecondition,
        message: "gated",
        details: [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { domain: "mlxd", reason: "MODEL_ACCESS_DENIED" }))],
      },
    },
  },
};

const clientOf = (messages: readonly Message[], requests: PrepareModelRequest[] = []) =>
  createMlxdClientFromTransport(
    createRouterTransport(({ service }) => {
      service(ModelService, {
        async *prepareModel(request) {
          requests.push(request);
          yield* messages;
        },
      });
    }),
    { retry: false, defaultModel: "chosen" },
  );

describe("a preparation", () => {
  it("brings stages, progress and log lines, then the report", async () => {
    const progress = { bytesDone: 5, bytesTotal: 9, filesDone: 1, filesTotal: 2, elapsed: durationFromMs(7) };
    const log = {
      stage: PrepareStage.DOWNLOADING,
      message: "fetching",
      extra: { files: "4" },
      elapsed: durationFromMs(6),
    };
    const client = clientOf([
      stage(PrepareStage.RESOLVING, 0),
      { event: { case: "log", value: log } },
      { event: { case: "progress", value: progress } },
      {},
      ready,
    ]);
    assert.deepEqual<unknown>(
      (await collect(client.prepareModel("org/new"))).map(({ type, ...event }) => [
        type,
        type === "report" ? undefined : event,
      ]),
      [
        ["stage", { stage: "resolving", message: "", elapsedMs: 0 }],
        ["log", { stage: "downloading", message: "fetching", extra: { files: "4" }, elapsedMs: 6 }],
        ["progress", { bytesDone: 5, bytesTotal: 9, filesDone: 1, filesTotal: 2, elapsedMs: 7 }],
        ["report", undefined],
      ],
    );
  });

  it("comes down to its report", async () => {
    const report = await clientOf([stage(PrepareStage.RESOLVING, 0), ready])
      .prepareModel()
      .collect();
    assert.deepInclude(report, { stage: "ready", downloaded: true, loaded: true, readyToChat: true, error: undefined });
    assert.strictEqual(report.model?.id, "org--new");
    assert.deepEqual(report.smokeTest, {
      quality: "ok",
      reason: "",
      answer: "4",
      testedAt: new Date(1_700_000_000_000),
      durationMs: 40,
    });
    assert.deepEqual(report.timings, [{ stage: "resolving", durationMs: 3 }]);
  });

  it("that failed says why in its report", async () => {
    const { stage: last, model, error } = await clientOf([failed]).prepareModel().collect();
    assert.deepEqual([last, model], ["failed", undefined]);
    assert.isTrue(isMlxdError(error, "MODEL_ACCESS_DENIED"));
  });

  it("asks for what it was given, and for the client's model where none is named", async () => {
    const requests: PrepareModelRequest[] = [];
    const client = clientOf([ready], requests);
    await client.prepareModel("org/new", { revision: "v1", retest: true }).collect();
    await client.prepareModel().collect();
    assert.deepEqual(
      requests.map(({ model, revision, retest }) => [model, revision, retest]),
      [
        ["org/new", "v1", true],
        ["chosen", "", false],
      ],
    );
    assert.throws(() => client.prepareModel("x", { revison: "v1" } as object), /revison/);
  });

  it.each([
    ["without its report", [stage(PrepareStage.RESOLVING, 0)]],
    ["after its report", [ready, stage(PrepareStage.FAILED, 9)]],
  ])("that goes on or ends %s breaks the protocol", async (_, messages) => {
    const error = await clientOf(messages)
      .prepareModel()
      .collect()
      .catch((cause: unknown) => cause);
    assert.isTrue(isMlxdError(error, "PROTOCOL"));
  });
});
