/** The transitions between a model's phases, as a pure function. The slot carries them out. */
import type { UnloadReason } from "../memory/retention.ts";
import type { LoadedEngine } from "./LoadedEngine.ts";
import type { ModelFault, LoadingPhase, Phase } from "./model-phase.ts";

export type PhaseEvent =
  /** A load starts. */
  | { readonly type: "load"; readonly loading: LoadingPhase }
  | { readonly type: "loaded"; readonly loading: LoadingPhase; readonly loaded: LoadedEngine }
  /** The load is cancelled: nobody waits for it any more, or a call unloads the model. */
  | { readonly type: "cancel-load"; readonly why: "unload" | "cancelled" }
  /** It is to be unloaded when its users have finished. */
  | { readonly type: "leave"; readonly why: UnloadReason }
  /** The room that its eviction was to make is no longer needed. */
  | { readonly type: "stay" }
  /** A call unloads it; this replaces any other reason. */
  | { readonly type: "unload"; readonly loaded: LoadedEngine }
  /** Its engine is being closed: its users have finished or were failed. */
  | { readonly type: "close"; readonly loaded: LoadedEngine }
  /** Its engine was given up. */
  | { readonly type: "lost"; readonly loaded: LoadedEngine }
  /** Its memory is free. */
  | { readonly type: "released" }
  | { readonly type: "failed"; readonly error: ModelFault; readonly retryAt: number }
  /** A caller asks for it who may have repaired what was wrong. */
  | { readonly type: "forget-failure" };

/** The next phase; undefined if the event changes nothing in this phase. */
export const nextPhase = (phase: Phase, event: PhaseEvent): Phase | undefined => {
  switch (event.type) {
    case "load":
      return phase.state === "available" || phase.state === "failed" ? event.loading : undefined;
    case "loaded":
      return phase === event.loading ? { state: "active", loaded: event.loaded } : undefined;
    case "cancel-load":
      // A new try after a failure continues even if nobody waits for it.
      if (phase.state !== "loading" || (event.why === "cancelled" && phase.revives)) return undefined;
      return { state: "unloading", why: event.why };
    case "leave":
      return phase.state === "active" ? { state: "draining", loaded: phase.loaded, why: event.why } : undefined;
    case "stay":
      return phase.state === "draining" && (phase.why === "eviction" || phase.why === "limits")
        ? { state: "active", loaded: phase.loaded }
        : undefined;
    case "unload":
      return has(phase, event.loaded) ? { state: "draining", loaded: event.loaded, why: "unload" } : undefined;
    case "close":
      return phase.state === "draining" && has(phase, event.loaded)
        ? { state: "unloading", why: phase.why }
        : undefined;
    case "lost":
      return has(phase, event.loaded) ? { state: "unloading", why: "failure" } : undefined;
    case "released":
      return phase.state === "loading" || phase.state === "unloading" ? { state: "available" } : undefined;
    case "failed":
      return phase.state === "loading" || phase.state === "unloading"
        ? { state: "failed", error: event.error, retryAt: event.retryAt }
        : undefined;
    case "forget-failure":
      return phase.state === "failed" && phase.retryAt < Infinity ? { state: "available" } : undefined;
  }
};

const has = (phase: Phase, loaded: LoadedEngine): boolean => "loaded" in phase && phase.loaded === loaded;
