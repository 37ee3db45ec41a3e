/** Which stage of a preparation may follow which. */
import type { PrepareStage } from "../../domain/preparation.ts";

/** In order. Stages may be left out, none is entered twice. */
export const stages: ReadonlyArray<PrepareStage> = [
  "resolving",
  "engine-check",
  "engine-install",
  "downloading",
  "server-starting",
  "model-serving",
  "model-loading",
  "smoke-test",
  "ready",
  "degraded",
  "failed",
];

type LastStage = Extract<PrepareStage, "ready" | "degraded" | "failed">;

export const isLast = (stage: PrepareStage): stage is LastStage =>
  stage === "ready" || stage === "degraded" || stage === "failed";

/** @param from undefined before the first stage */
export const mayFollow = (from: PrepareStage | undefined, to: PrepareStage): boolean => {
  if (from === undefined) return to === "resolving";
  if (isLast(from)) return false;
  // Every stage can fail; that a model is of use only its smoke test can tell.
  if (isLast(to)) return to === "failed" || from === "smoke-test";
  return stages.indexOf(from) < stages.indexOf(to);
};
