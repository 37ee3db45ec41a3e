import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import {
  type CompatibilityProfile as WireProfile,
  CompatibilityProfileSchema,
  CompatibilityStatus as WireStatus,
} from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { CompatibilityProfile, CompatibilityStatus } from "../domain/compatibility.ts";

export const compatibilityStatusToWire = {
  unknown: WireStatus.UNKNOWN,
  ok: WireStatus.OK,
  degraded: WireStatus.DEGRADED,
  failed: WireStatus.FAILED,
} as const satisfies Record<CompatibilityStatus, WireStatus>;

export const compatibilityToWire = ({
  stopSequences,
  postprocess,
  preferredEngines,
  qualityStatus,
  lastTestError = "",
  validatedAt,
  ...profile
}: CompatibilityProfile): WireProfile =>
  create(CompatibilityProfileSchema, {
    ...profile,
    stopSequences: [...stopSequences],
    postprocess: [...postprocess],
    preferredEngines: [...preferredEngines],
    qualityStatus: compatibilityStatusToWire[qualityStatus],
    lastTestError,
    ...(validatedAt === undefined ? {} : { validatedAt: timestampFromMs(validatedAt) }),
  });
