/** The phases of a model between disk and memory, and what each means for callers and the budget. */
import type { Fiber } from "effect";

import type { FilesUnusable, ModelChanged } from "../../domain/errors.ts";
import type { ModelState } from "../../domain/model.ts";
import type { EngineFault } from "../../engine/engine-failures.ts";
import type { EngineHealth } from "../../engine/EngineStatus.ts";
import type { UnloadReason } from "../memory/retention.ts";
import type { LoadedEngine } from "./LoadedEngine.ts";
import type { Resident } from "../memory/plan-room.ts";

/** Why a model cannot be used. ModelChanged is none of these: the model can be used with its new files. */
export type ModelFault = FilesUnusable | Exclude<EngineFault, ModelChanged>;

interface FailedPhase {
  readonly state: "failed";
  readonly error: ModelFault;
  /** Milliseconds of domain/elapsed.ts. Until then a lease fails with the same error. */
  readonly retryAt: number;
}

export interface LoadingPhase {
  readonly state: "loading";
  fiber: Fiber.Fiber<void> | undefined;
  /** Whether it is a new try after a failure in use. It goes on even if nobody waits for it. */
  readonly revives: boolean;
}

export type Phase =
  | { readonly state: "available" }
  | LoadingPhase
  | { readonly state: "active"; readonly loaded: LoadedEngine }
  | { readonly state: "draining"; readonly loaded: LoadedEngine; readonly why: UnloadReason }
  | { readonly state: "unloading"; readonly why: UnloadReason | "cancelled" }
  | FailedPhase;

/** @param downloads running downloads that may bring its files */
export const stateOf = (phase: Phase, downloads: number): ModelState => {
  if (phase.state !== "failed") return phase.state;
  if (downloads > 0) return "downloading";
  // Its files are missing, but nothing failed.
  return phase.error._tag === "ModelNotDownloaded" ? "not-downloaded" : "failed";
};

/** Why the model is in this state, in one sentence; empty if there is nothing to explain. */
export const reasonOf = (phase: Phase): string => {
  if ("loaded" in phase) return reasons[phase.loaded.health];
  if (phase.state !== "failed") return "";
  return phase.error._tag === "ModelNotDownloaded" ? phase.error.message : phase.error.cause;
};

const reasons = {
  serving: "",
  restarting: "its engine ended and is being started again",
  stalled: "its engine delivers nothing at the moment",
  unreachable: "its backend has repeatedly failed to answer, and is only tried now and then until it does",
} as const satisfies Record<EngineHealth, string>;

/** Whether it is loading, loaded or unloading. */
export const isResident = ({ state }: Phase): boolean => state !== "available" && state !== "failed";

/** Undefined while it has no engine to lease. */
export const loadedIn = (phase: Phase): LoadedEngine | undefined => ("loaded" in phase ? phase.loaded : undefined);

/** How the memory budget may treat it. */
export const useOf = (phase: Phase, isPinned: boolean, isUnused: boolean): Resident["use"] => {
  if ("why" in phase && (phase.state === "unloading" || phase.why === "unload")) return "leaving";
  if (isPinned) return "pinned";
  return phase.state === "active" && isUnused ? "idle" : "busy";
};
