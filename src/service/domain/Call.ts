/** The call that a fiber works for. */
import { Context, Effect } from "effect";

import { type Caller, itself } from "./Caller.ts";
import type { Progress } from "./errors.ts";

export interface Call {
  /** Names it in the log, in its errors and in its response; empty for what the service does for itself. */
  readonly requestId: string;
  readonly caller: Caller;
  /** Of the task that is worked on, where it has one. */
  readonly fairnessId: string;
  /**
   * Whether the service is cutting it short, as it ends itself. An interruption is otherwise the doing of its caller, who
   * has left or whose deadline has passed.
   */
  readonly isCut: () => boolean;
  /** Tells how to ask how far its generation has come, for the error of a call that is ended from outside. */
  readonly follow: (progress: () => Progress) => void;
}

const ownWork: Call = { requestId: "", caller: itself, fairnessId: "", isCut: () => false, follow: () => {} };

export const CurrentCall: Context.Reference<Call> = Context.Reference<Call>("mlxd/domain/CurrentCall", {
  defaultValue: () => ownWork,
});

/** Work on a task of the call: it takes the turns that its fairness id has. */
export const forTask = (fairnessId: string): (<A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  Effect.updateService(CurrentCall, (call) => ({ ...call, fairnessId }));
