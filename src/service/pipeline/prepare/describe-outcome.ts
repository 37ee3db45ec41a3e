/** Describes the outcome of a preparation for its report. */
import { Result } from "effect";

import type { CompatibilityStatus } from "../../domain/compatibility.ts";
import type { ServiceError } from "../../domain/errors.ts";
import type { ModelStatus } from "../../domain/model.ts";
import type { DownloadResult, InstallResult, PrepareReport } from "../../domain/preparation.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";

/** How far it has come, whether or not the rest failed. */
export interface PreparationState {
  id: string;
  downloaded: boolean;
  loaded: boolean;
  installResult: InstallResult | undefined;
  downloadResult: DownloadResult | undefined;
}

type Outcome = Omit<PrepareReport, "type" | "timings" | "stageLogs">;

/**
 * @param model undefined if the model is not here
 * @param known the smoke test's result at its revision, from this preparation or an earlier one
 */
export const describeOutcome = (
  result: Result.Result<SmokeTest, ServiceError>,
  reached: PreparationState,
  model: ModelStatus | undefined,
  known: SmokeTest | undefined,
): Outcome => {
  const { id, ...came } = reached;
  const smokeTest = Result.getOrUndefined(result);
  const status = smokeTest?.quality ?? "failed";
  const isLoaded = came.loaded && (model?.state === "active" || model?.state === "draining");
  const compatibilityStatus: CompatibilityStatus = known?.quality ?? "unknown";
  return {
    ...came,
    stage: status === "ok" ? "ready" : status,
    status,
    // Filled in for each caller, with the name that it used.
    resolution: undefined,
    model,
    current: isLoaded ? id : "",
    message: messageOf(result, id),
    readyToChat: status !== "failed",
    compatibilityStatus,
    smokeTest,
    error: Result.isFailure(result) ? result.failure : undefined,
  };
};

const messageOf = (result: Result.Result<SmokeTest, ServiceError>, id: string): string => {
  if (Result.isFailure(result)) return result.failure.message;
  const { quality, reason } = result.success;
  if (quality === "ok") return `model "${id}" is ready`;
  if (quality === "degraded") return `model "${id}" answers, but not as it should: ${reason}`;
  return `model "${id}" is loaded, but its answer is unusable: ${reason}`;
};
