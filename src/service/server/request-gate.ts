/** Runs once a call's headers are there and before its message is read: says who calls, and whether the call may go on. */
import type { HandlerContext } from "@connectrpc/connect";

import { Health } from "../../client/gen/grpc/health/v1/health_pb.ts";
import { drainingRetryAfterMs } from "../calls/failure.ts";
import { anonymous } from "../domain/Caller.ts";
import { Draining } from "../domain/errors.ts";
import { announceHeader, callerOf, peerAddress } from "../rpc/call-values.ts";
import { connectErrorFrom, wireErrorFrom } from "../rpc/error-to-wire.ts";
import { explainLibraryErrors } from "./library-errors.ts";

/** While draining, only health is answered: it has to say so. */
export const createRequestGate =
  (isDraining: () => boolean, maxMessageBytes: number) =>
  (context: HandlerContext): void => {
    if (isDraining() && context.service.typeName !== Health.typeName) {
      throw connectErrorFrom(wireErrorFrom(new Draining({ retryAfterMs: drainingRetryAfterMs })));
    }
    // Nobody is asked yet who it is.
    context.values.set(callerOf, anonymous(context.values.get(peerAddress)));
    context.values.get(announceHeader)(context.responseHeader);
    explainLibraryErrors(context, maxMessageBytes);
  };
