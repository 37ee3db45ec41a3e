/** Where a model stands between disk and memory, and what follows from that. */
import type { Fiber } from "effect";

import type { FilesUnusable, ModelChanged } from "../../domain/errors.ts";
import type { ModelState } from "../../domain/model.ts";
import type { EngineFault, EngineHealth } from "../../engine/Engine.ts";
import type { UnloadReason } from "../memory/retention.ts";
import type { LoadedEngine } from "./LoadedEngine.ts";
import type { Resident } from "../memory/plan-room.ts";

/** Why it cannot be used as it is. That its files changed is not of this kind: with these it can. */
export type ModelFault = FilesUnusable | Exclude<EngineFault, ModelChanged>;

interface FailedPhase {
  readonly state: "failed";
  readonly error: ModelFault;
  /** Epoch milliseconds: until then a lease gets the same error. */
  readonly retryAt: number;
}

export interface LoadingPhase {
  readonly state: "loading";
  fiber: Fiber.Fiber<void> | undefined;
  /** It failed while it was in use and is being tried again, for whoever comes next: nobody has to wait for it. */
  readonly revives: boolean;
}

export type Phase =
  | { readonly state: "available" }
  | LoadingPhase
  | { readonly state: "active"; readonly loaded: LoadedEngine }
  | { readonly state: "draining"; readonly loaded: LoadedEngine; readonly why: UnloadReason }
  | { readonly state: "unloading"; readonly why: UnloadReason | "cancelled" }
  | FailedPhase;

/** @param downloads how many are under way that may bring its files */
export const stateOf = (phase: Phase, downloads: number): ModelState => {
  if (phase.state !== "failed") return phase.state;
  if (downloads > 0) return "downloading";
  // Nothing went wrong with it; nor is it on disk.
  return phase.error._tag === "ModelNotDownloaded" ? "not-downloaded" : "failed";
};

/** One sentence, where something has to be said. */
export const reasonOf = (phase: Phase): string => {
  if ("loaded" in phase) return reasons[phase.loaded.health];
  if (phase.state !== "failed") return "";
  return phase.error._tag === "ModelNotDownloaded" ? phase.error.message : phase.error.cause;
};

const reasons = {
  serving: "",
  restarting: "its engine ended and is being started again",
  stalled: "its engine delivers nothing at the moment",
} as const satisfies Record<EngineHealth, string>;

/** Loaded, loading, or on its way out. */
export const isResident = ({ state }: Phase): boolean => state !== "available" && state !== "failed";

/** Undefined while there is no engine to be had. */
export const loadedIn = (phase: Phase): LoadedEngine | undefined => ("loaded" in phase ? phase.loaded : undefined);

/** What the memory budget may ask of it. */
export const useOf = (phase: Phase, isPinned: boolean, isUnused: boolean): Resident["use"] => {
  if ("why" in phase && (phase.state === "unloading" || phase.why === "unload")) return "leaving";
  if (isPinned) return "pinned";
  return phase.state === "active" && isUnused ? "idle" : "busy";
};
