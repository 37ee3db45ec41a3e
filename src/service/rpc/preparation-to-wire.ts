import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";

import {
  type Model,
  type PrepareLogSchema,
  type PrepareModelResponse,
  PrepareModelResponseSchema,
  type PrepareReportSchema,
  PrepareStage as WireStage,
} from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { ModelStatus } from "../domain/model.ts";
import type { PrepareEvent, PrepareReport, PrepareStage, StageLog } from "../domain/preparation.ts";
import { compatibilityStatusToWire } from "./compatibility-to-wire.ts";
import { durationFromMs } from "./duration.ts";
import { maxMessageBytes, truncateUtf8, withoutPaths } from "./error-details.ts";
import { statusFrom, wireErrorFrom } from "./error-to-wire.ts";
import { qualityToWire, smokeTestToWire } from "./smoke-test-to-wire.ts";

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
      return { case: "stage", value: { stage: stages[event.stage], elapsed, message: tellable(event.message) } };
    case "log":
      return { case: "log", value: logToWire(event) };
    case "progress": {
      const { bytesDone, bytesTotal, filesDone, filesTotal } = event;
      return { case: "progress", value: { bytesDone, bytesTotal, filesDone, filesTotal, elapsed } };
    }
  }
};

const logToWire = ({ stage, message, extra, elapsedMs }: StageLog): MessageInitShape<typeof PrepareLogSchema> => ({
  stage: stages[stage],
  message: tellable(message),
  elapsed: durationFromMs(elapsedMs),
  extra: { ...extra },
});

export const reportToWire = (
  report: PrepareReport,
  describe: (model: ModelStatus) => Model,
): MessageInitShape<typeof PrepareReportSchema> => {
  const { type: _, stage, status, resolution, model, message, compatibilityStatus, ...rest } = report;
  const { smokeTest, timings, error, stageLogs, installResult, downloadResult, ...plain } = rest;
  return {
    ...plain,
    stage: stages[stage],
    status: qualityToWire[status],
    ...(resolution && { resolution: { ...resolution, metadata: { ...resolution.metadata } } }),
    ...(model && { model: describe(model) }),
    message: tellable(message),
    compatibilityStatus: compatibilityStatusToWire[compatibilityStatus],
    ...(smokeTest && { smokeTest: smokeTestToWire(smokeTest) }),
    timings: timings.map((each) => ({ stage: stages[each.stage], duration: durationFromMs(each.durationMs) })),
    ...(error && { error: statusFrom(wireErrorFrom(error)) }),
    stageLogs: stageLogs.map(logToWire),
    ...(installResult && { installResult }),
    ...(downloadResult && { downloadResult }),
  };
};

/** With the same limits as error messages, because sentences may contain them. */
const tellable = (text: string): string => truncateUtf8(withoutPaths(text), maxMessageBytes);
