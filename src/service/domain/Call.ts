/** The call that a fiber works for. */
import { Context, Effect } from "effect";

import { type Caller, itself } from "./Caller.ts";
import type { Progress } from "./errors.ts";

export interface Call {
  /** Identifies the call in logs, errors and response headers; empty for the service's own work. */
  readonly requestId: string;
  readonly caller: Caller;
  /** The fairness id of the current task, if it has one. */
  readonly fairnessId: string;
  /**
   * Whether the service is cutting the call short because it is shutting down. Any other interruption comes from the
   * caller, who has left or whose deadline has passed.
   */
  readonly isCut: () => boolean;
  /** Registers how to read the generation's progress, for the error of a call that is ended from outside. */
  readonly follow: (progress: () => Progress) => void;
}

const ownWork: Call = { requestId: "", caller: itself, fairnessId: "", isCut: () => false, follow: () => {} };

export const CurrentCall: Context.Reference<Call> = Context.Reference<Call>("mlxd/domain/CurrentCall", {
  defaultValue: () => ownWork,
});

/** Work on a task of the call, scheduled by the task's fairness id. */
export const forTask = (fairnessId: string): (<A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  Effect.updateService(CurrentCall, (call) => ({ ...call, fairnessId }));
