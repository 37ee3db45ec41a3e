import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import {
  Quality as WireQuality,
  type SmokeTest as WireSmokeTest,
  SmokeTestSchema,
} from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { Quality, SmokeTest } from "../domain/smoke-test.ts";
import { durationFromMs } from "./duration.ts";

export const qualityToWire = {
  ok: WireQuality.OK,
  degraded: WireQuality.DEGRADED,
  failed: WireQuality.FAILED,
} as const satisfies Record<Quality, WireQuality>;

export const smokeTestToWire = ({ quality, reason, answer, testedAt, durationMs }: SmokeTest): WireSmokeTest =>
  create(SmokeTestSchema, {
    quality: qualityToWire[quality],
    reason,
    answer,
    testedAt: timestampFromMs(testedAt),
    duration: durationFromMs(durationMs),
  });
