/** What a call ended with instead of an answer. Each protocol adapter maps it to an error of its own. */
import { Cause, Result } from "effect";

import { Draining, type Progress, type ServiceError, ShutDown } from "../domain/errors.ts";

export type CallFailure =
  | {
      readonly type: "error";
      readonly error: ServiceError;
      /** `sequence` of the last message that was sent; undefined if none was sent. */
      readonly lastSequence?: number | undefined;
    }
  /** A bug. The details are logged with the request's id. */
  | { readonly type: "defect"; readonly requestId: string }
  /** The caller has left, so there is nobody to send an error to. */
  | { readonly type: "left" };

export interface FailedCall {
  readonly requestId: string;
  readonly lastSequence?: number | undefined;
  /** How far the generation has come, if it is one. */
  readonly progress?: Progress | undefined;
  /** A stream that runs until its caller leaves, and that the caller simply opens again. */
  readonly endless?: boolean;
}

/** By then a supervisor has started the next process, or a load balancer has removed this one. */
export const drainingRetryAfterMs = 1000;

/** The first expected failure decides; then a defect, of which only the request's id is sent; then interruption. */
export const failureFrom = (cause: Cause.Cause<ServiceError>, call: FailedCall): CallFailure => {
  const { requestId, lastSequence, progress, endless } = call;
  const expected = Cause.findError(cause);
  if (Result.isSuccess(expected)) return { type: "error", error: expected.success, lastSequence };
  if (Cause.hasDies(cause)) return { type: "defect", requestId };
  // Interrupted although the caller is still there: the service is shutting down and its drain time is over.
  if (lastSequence === undefined || endless === true) {
    return { type: "error", error: new Draining({ retryAfterMs: drainingRetryAfterMs }) };
  }
  return { type: "error", error: new ShutDown(progress === undefined ? {} : { progress }), lastSequence };
};
