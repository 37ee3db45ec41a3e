import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";

import {
  type Model,
  type PrepareModelResponse,
  PrepareModelResponseSchema,
  type PrepareReportSchema,
  PrepareStage as WireStage,
} from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { ModelStatus } from "../domain/model.ts";
import type { PrepareEvent, PrepareReport, PrepareStage } from "../domain/preparation.ts";
import { durationFromMs } from "./duration.ts";
import { statusFrom, wireErrorFrom } from "./error-to-wire.ts";
import { smokeTestToWire } from "./smoke-test-to-wire.ts";

const stages = {
  resolving: WireStage.RESOLVING,
  "engine-check": WireStage.ENGINE_CHECK,
  "engine-install": WireStage.ENGINE_INSTALL,
  downloading: WireStage.DOWNLOADING,
  "server-starting": WireStage.SERVER_STARTING,
  "model-serving": WireStage.MODEL_SERVING,
  "model-loading": WireStage.MODEL_LOADING,
  "smoke-test": WireStage.SMOKE_TEST,
  ready: WireStage.READY,
  degraded: WireStage.DEGRADED,
  failed: WireStage.FAILED,
} as const satisfies Record<PrepareStage, WireStage>;

export const prepareEventToWire = (
  event: PrepareEvent,
  describe: (model: ModelStatus) => Model,
): PrepareModelResponse => create(PrepareModelResponseSchema, { event: eventToWire(event, describe) });

type WireEvent = NonNullable<MessageInitShape<typeof PrepareModelResponseSchema>["event"]>;

const eventToWire = (event: PrepareEvent, describe: (model: ModelStatus) => Model): WireEvent => {
  if (event.type === "report") return { case: "report", value: reportToWire(event, describe) };
  const elapsed = durationFromMs(event.elapsedMs);
  switch (event.type) {
    case "stage":
      return { case: "stage", value: { stage: stages[event.stage], elapsed } };
    case "log":
      return { case: "log", value: { stage: stages[event.stage], message: event.message, elapsed } };
    case "progress": {
      const { bytesDone, bytesTotal, filesDone, filesTotal } = event;
      return { case: "progress", value: { bytesDone, bytesTotal, filesDone, filesTotal, elapsed } };
    }
  }
};

const reportToWire = (
  { stage, model, downloaded, loaded, readyToChat, smokeTest, timings, error }: PrepareReport,
  describe: (model: ModelStatus) => Model,
): MessageInitShape<typeof PrepareReportSchema> => ({
  stage: stages[stage],
  ...(model && { model: describe(model) }),
  downloaded,
  loaded,
  readyToChat,
  ...(smokeTest && { smokeTest: smokeTestToWire(smokeTest) }),
  timings: timings.map((each) => ({ stage: stages[each.stage], duration: durationFromMs(each.durationMs) })),
  ...(error && { error: statusFrom(wireErrorFrom(error)) }),
});
