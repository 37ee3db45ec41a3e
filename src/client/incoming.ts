import type { CallOptions } from "./call.ts";
import { checkObject } from "./check.ts";
import { invalidField } from "./errors.ts";

/** A call as a Connect handler gets it: its context. */
export interface IncomingConnectCall {
  readonly signal: AbortSignal;
  readonly timeoutMs: () => number | undefined;
  readonly requestHeader: Headers;
}

/** A call as a grpc-js handler gets it. */
export interface IncomingGrpcCall {
  readonly metadata: { readonly get: (name: string) => readonly (string | Uint8Array)[] };
  readonly getDeadline: () => Date | number;
  readonly cancelled: boolean;
  readonly on: (event: "cancelled", listener: () => void) => unknown;
}

/** A `fetch` request, as edge runtimes and frameworks pass it to their handlers. */
export interface IncomingRequest {
  readonly signal: AbortSignal;
  readonly headers: Headers;
}

/** A call that a service has received. */
export type IncomingCall = IncomingConnectCall | IncomingGrpcCall | IncomingRequest;

/** The headers of a trace: https://www.w3.org/TR/trace-context/. */
const traceHeaders = ["traceparent", "tracestate", "baggage"];

/**
 * Options for a call that is made to answer an incoming one: it is cancelled when the incoming caller leaves, has the rest of
 * its deadline, and belongs to its trace. Nothing else is forwarded, in particular no credentials.
 *
 * @example await client.generate(prompt, { ...optionsOfIncoming(context), maxOutputTokens: 64 });
 */
export const optionsOfIncoming = (call: IncomingCall): CallOptions => {
  checkObject(call, "call");
  if ("requestHeader" in call) return options(call.signal, call.timeoutMs(), (name) => call.requestHeader.get(name));
  if ("getDeadline" in call) {
    const deadline = Number(call.getDeadline());
    const value = (name: string) => String(call.metadata.get(name)[0] ?? "");
    return options(signalOf(call), deadline === Number.POSITIVE_INFINITY ? undefined : deadline - Date.now(), value);
  }
  if ("headers" in call && typeof call.headers.get === "function") {
    return options(call.signal, timeoutOf(call.headers), (name) => call.headers.get(name));
  }
  throw invalidField("call", "it is not the context of a Connect handler, a call of grpc-js or a fetch request");
};

const options = (
  signal: AbortSignal,
  timeoutMs: number | undefined,
  value: (name: string) => string | null,
): CallOptions => {
  const trace = traceHeaders.flatMap((name) => {
    const found = value(name);
    return found === null || found === "" ? [] : [[name, found] as const];
  });
  return {
    signal,
    headers: Object.fromEntries(trace),
    // 0 and less would mean "no limit".
    ...(timeoutMs !== undefined && { timeoutMs: Math.max(1, timeoutMs) }),
  };
};

const signalOf = (call: IncomingGrpcCall): AbortSignal => {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new Error("the caller of this service has left"));
  if (call.cancelled) abort();
  else call.on("cancelled", abort);
  return controller.signal;
};

/** From the headers of Connect or gRPC. */
const timeoutOf = (headers: Headers): number | undefined => {
  const connect = /^\d{1,10}$/.exec(headers.get("connect-timeout-ms") ?? "")?.[0];
  if (connect !== undefined) return Number(connect);
  const [, amount, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  return amount === undefined ? undefined : Number(amount) * (unitMs[unit] ?? 1);
};

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };
