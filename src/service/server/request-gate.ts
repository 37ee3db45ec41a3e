/**
 * Runs when a call's headers have arrived and before its message is read: authenticates the caller and decides whether
 * the call may continue.
 */
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Result } from "effect";

import { Health } from "../../client/gen/grpc/health/v1/health_pb.ts";
import { OpenRcaService } from "../../client/gen/xds/service/orca/v3/orca_pb.ts";
import type { Access, Admitted, Needs } from "../access/Access.ts";
import type { Allowance } from "../access/Allowance.ts";
import { drainingRetryAfterMs } from "../calls/failure.ts";
import { everyRole } from "../domain/Caller.ts";
import { Draining, RoleMissing } from "../domain/errors.ts";
import { announceHeader, callDeadline, callerOf, evidenceOf } from "../rpc/call-values.ts";
import { connectErrorFrom, wireErrorFrom } from "../rpc/error-to-wire.ts";
import { isAdministrative, rpcNeeds, spendsTokens } from "../rpc/rpc-needs.ts";
import { type Audit, entryOf } from "./audit.ts";
import { explainLibraryErrors } from "./library-errors.ts";
import { reflectionServices } from "./reflection-service.ts";

export interface RequestGateOptions {
  readonly isDraining: () => boolean;
  readonly access: Pick<Access["Service"], "admit" | "allowanceOf">;
  readonly maxMessageBytes: number;
  /** Told each administrative call of a known caller once it has ended, also one that was refused. */
  readonly audit: Audit;
  /** Called with each error that a call ends with, whoever raised it. */
  readonly onError: (error: ConnectError, method: string) => void;
}

/** While draining, only health is answered, because it has to report the drain. */
export const createRequestGate =
  ({ isDraining, access, maxMessageBytes, audit, onError }: RequestGateOptions) =>
  async (context: HandlerContext): Promise<void> => {
    const { service, method, signal } = context;
    explainLibraryErrors(context, maxMessageBytes);
    // Registered after that, so that it receives the completed errors.
    const tell = () => {
      if (signal.reason instanceof ConnectError) onError(signal.reason, `${service.typeName}/${method.name}`);
    };
    signal.addEventListener("abort", tell, { once: true });
    if (isDraining() && service.typeName !== Health.typeName) {
      throw connectErrorFrom(wireErrorFrom(new Draining({ retryAfterMs: drainingRetryAfterMs })));
    }
    const needs = needsOf(context);
    const admitted = await access.admit(needs, context.values.get(evidenceOf));
    if (needs !== "nothing" && isAdministrative(needs)) auditAtEnd(context, admitted, audit);
    if (Result.isFailure(admitted)) throw connectErrorFrom(wireErrorFrom(admitted.failure));
    await countCall(context, access.allowanceOf(admitted.success), spendsTokens(method));
    context.values.set(callerOf, admitted.success);
    context.values.get(announceHeader)(context.responseHeader);
  };

/** Whoever is unknown leaves no line: it could fill the disk with them. The metric of errors counts such calls. */
const auditAtEnd = (context: HandlerContext, admitted: Admitted, audit: Audit): void => {
  const failure = Result.isFailure(admitted) ? admitted.failure : undefined;
  if (failure !== undefined && !(failure instanceof RoleMissing)) return;
  const { signal } = context;
  const tell = () => {
    const error = signal.reason instanceof ConnectError ? signal.reason : undefined;
    audit({ ...entryOf(context, error), ...(failure !== undefined && { tenant: failure.tenant }) });
  };
  if (signal.aborted) tell();
  else signal.addEventListener("abort", tell, { once: true });
};

/** Reports the remaining quota to the caller, and counts the call until it is over. */
const countCall = async (context: HandlerContext, allowance: Allowance, spends: boolean): Promise<void> => {
  const { responseHeader, signal } = context;
  const begun = allowance.begin({ spendsTokens: spends });
  const { headers } = Result.isSuccess(begun) ? begun.success : begun.failure;
  for (const [name, value] of Object.entries(headers)) responseHeader.set(name, value);
  if (Result.isFailure(begun)) {
    const { receivedAt = 0, timeoutMs = Infinity } = context.values.get(callDeadline) ?? {};
    await allowance.holdRefusal(signal, receivedAt + timeoutMs - performance.now());
    throw connectErrorFrom(wireErrorFrom(begun.failure.error));
  }
  const { end } = begun.success;
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
};

/** What each RPC requires, for the API's and the standard services. */
const needsOf = ({ service, method }: Pick<HandlerContext, "service" | "method">): Needs => {
  if (service.typeName === Health.typeName) return "nothing";
  if (reflectionNames.has(service.typeName)) return { roles: everyRole, opensAs: "reflection" };
  // Whoever calls may choose between servers; a proxy that does has no key.
  if (service.typeName === OpenRcaService.typeName) return { roles: everyRole, opensAs: "load" };
  return rpcNeeds(service.typeName, method.localName);
};

const reflectionNames: ReadonlySet<string> = new Set(reflectionServices.map(({ typeName }) => typeName));
