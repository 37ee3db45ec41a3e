/** Runs once a call's headers are there and before its message is read: says who calls, and whether the call may go on. */
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Result } from "effect";

import { Health } from "../../client/gen/grpc/health/v1/health_pb.ts";
import { OpenRcaService } from "../../client/gen/xds/service/orca/v3/orca_pb.ts";
import type { Access, Needs } from "../access/Access.ts";
import { drainingRetryAfterMs } from "../calls/failure.ts";
import { everyRole } from "../domain/Caller.ts";
import { Draining } from "../domain/errors.ts";
import { announceHeader, callerOf, evidenceOf } from "../rpc/call-values.ts";
import { connectErrorFrom, wireErrorFrom } from "../rpc/error-to-wire.ts";
import { rpcNeeds } from "../rpc/rpc-needs.ts";
import { explainLibraryErrors } from "./library-errors.ts";
import { reflectionServices } from "./reflection-service.ts";

export interface RequestGateOptions {
  readonly isDraining: () => boolean;
  readonly access: Pick<Access["Service"], "admit" | "begin">;
  readonly maxMessageBytes: number;
  /** Told each error that a call ends with, whoever raised it. */
  readonly onError: (error: ConnectError, method: string) => void;
}

/** While draining, only health is answered: it has to say so. */
export const createRequestGate =
  ({ isDraining, access, maxMessageBytes, onError }: RequestGateOptions) =>
  async (context: HandlerContext): Promise<void> => {
    const { service, method, signal } = context;
    explainLibraryErrors(context, maxMessageBytes);
    // After that, so that it is told the reasons that were found.
    const tell = () => {
      if (signal.reason instanceof ConnectError) onError(signal.reason, `${service.typeName}/${method.name}`);
    };
    signal.addEventListener("abort", tell, { once: true });
    if (isDraining() && service.typeName !== Health.typeName) {
      throw connectErrorFrom(wireErrorFrom(new Draining({ retryAfterMs: drainingRetryAfterMs })));
    }
    const admitted = await access.admit(needsOf(context), context.values.get(evidenceOf));
    if (Result.isFailure(admitted)) throw connectErrorFrom(wireErrorFrom(admitted.failure));
    countCall(context, access.begin(admitted.success));
    context.values.set(callerOf, admitted.success);
    context.values.get(announceHeader)(context.responseHeader);
  };

/** Tells the caller what it has left, and lets the call count until it is over. */
const countCall = ({ responseHeader, signal }: HandlerContext, begun: ReturnType<Access["Service"]["begin"]>): void => {
  const { headers } = Result.isSuccess(begun) ? begun.success : begun.failure;
  for (const [name, value] of Object.entries(headers)) responseHeader.set(name, value);
  if (Result.isFailure(begun)) throw connectErrorFrom(wireErrorFrom(begun.failure.error));
  const { end } = begun.success;
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
};

/** What each RPC takes that this server answers, those of the API and the standard ones. */
const needsOf = ({ service, method }: Pick<HandlerContext, "service" | "method">): Needs => {
  if (service.typeName === Health.typeName) return "nothing";
  if (reflectionNames.has(service.typeName)) return { roles: everyRole, opensAs: "reflection" };
  // Whoever calls may choose between servers.
  if (service.typeName === OpenRcaService.typeName) return { roles: everyRole };
  return rpcNeeds(service.typeName, method.localName);
};

const reflectionNames: ReadonlySet<string> = new Set(reflectionServices.map(({ typeName }) => typeName));
