/** The order of a preparation's stages, and what happens in each. */
import type { PrepareStage } from "../../domain/preparation.ts";

/** In order, with their descriptions. Stages may be left out; none is entered twice. */
const tasks = {
  resolving: "looking for the model",
  "engine-check": "looking at the engine that will run it",
  "engine-install": "installing the engine",
  downloading: "fetching its files",
  "server-starting": "starting the server that will run it",
  "model-serving": "having the server take it in",
  "model-loading": "loading it into its engine",
  "smoke-test": "asking it a question",
  ready: "it is ready",
  degraded: "it answers, but not as it should",
  failed: "it is not ready",
} as const satisfies Record<PrepareStage, string>;

export const stages = Object.keys(tasks) as ReadonlyArray<PrepareStage>;

/** One sentence. */
export const taskOf = (stage: PrepareStage): string => tasks[stage];

type LastStage = Extract<PrepareStage, "ready" | "degraded" | "failed">;

export const isLast = (stage: PrepareStage): stage is LastStage =>
  stage === "ready" || stage === "degraded" || stage === "failed";

/** @param from undefined before the first stage */
export const mayFollow = (from: PrepareStage | undefined, to: PrepareStage): boolean => {
  if (from === undefined) return to === "resolving";
  if (isLast(from)) return false;
  // Every stage can fail; only the smoke test can find that a model works well or not well enough.
  if (isLast(to)) return to === "failed" || from === "smoke-test";
  return stages.indexOf(from) < stages.indexOf(to);
};
