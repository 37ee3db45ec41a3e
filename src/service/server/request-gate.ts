/** Runs once a call's headers are there and before its message is read. */
import type { HandlerContext } from "@connectrpc/connect";

import { Health } from "../../client/gen/grpc/health/v1/health_pb.ts";
import { Draining } from "../domain/errors.ts";
import { announceHeader } from "../rpc/call-values.ts";
import { connectErrorFrom, drainingRetryAfterMs, wireErrorFrom } from "../rpc/error-to-wire.ts";
import { explainLibraryErrors } from "./library-errors.ts";

/** While draining, only health is answered: it has to say so. */
export const createRequestGate =
  (isDraining: () => boolean, maxMessageBytes: number) =>
  (context: HandlerContext): void => {
    if (isDraining() && context.service.typeName !== Health.typeName) {
      throw connectErrorFrom(wireErrorFrom(new Draining({ retryAfterMs: drainingRetryAfterMs })));
    }
    context.values.get(announceHeader)(context.responseHeader);
    explainLibraryErrors(context, maxMessageBytes);
  };
