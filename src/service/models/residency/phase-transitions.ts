/** How a model goes from one phase to the next: decided here, carried out by the slot. */
import type { UnloadReason } from "../memory/retention.ts";
import type { LoadedEngine } from "./LoadedEngine.ts";
import type { ModelFault, LoadingPhase, Phase } from "./model-phase.ts";

export type PhaseEvent =
  /** Somebody has asked for it. */
  | { readonly type: "load"; readonly loading: LoadingPhase }
  | { readonly type: "loaded"; readonly loading: LoadingPhase; readonly loaded: LoadedEngine }
  /** Nobody waits for the load any more, or a call ends it. */
  | { readonly type: "cancel-load"; readonly why: "unload" | "cancelled" }
  /** It leaves when those who use it have finished. */
  | { readonly type: "leave"; readonly why: UnloadReason }
  /** The room that it was to make is not needed any more. */
  | { readonly type: "stay" }
  /** A call unloads it, whatever it was leaving for. */
  | { readonly type: "unload"; readonly loaded: LoadedEngine }
  /** Its engine is being closed: those who used it have finished, or have been told. */
  | { readonly type: "close"; readonly loaded: LoadedEngine }
  /** Its engine was given up. */
  | { readonly type: "lost"; readonly loaded: LoadedEngine }
  /** Its memory is free. */
  | { readonly type: "released" }
  | { readonly type: "failed"; readonly error: ModelFault; readonly retryAt: number }
  /** Somebody asks for it who may have mended what was wrong. */
  | { readonly type: "forget-failure" };

/** The next phase; undefined: in this phase the event changes nothing. */
export const nextPhase = (phase: Phase, event: PhaseEvent): Phase | undefined => {
  switch (event.type) {
    case "load":
      return phase.state === "available" || phase.state === "failed" ? event.loading : undefined;
    case "loaded":
      return phase === event.loading ? { state: "active", loaded: event.loaded } : undefined;
    case "cancel-load":
      // One that is tried again after a failure goes on though nobody waits for it.
      if (phase.state !== "loading" || (event.why === "cancelled" && phase.revives)) return undefined;
      return { state: "unloading", why: event.why };
    case "leave":
      return phase.state === "active" ? { state: "draining", loaded: phase.loaded, why: event.why } : undefined;
    case "stay":
      return phase.state === "draining" && phase.why === "eviction"
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
