import type { CallOptions } from "./call.ts";
import { checkObject } from "./check.ts";
import { invalidField } from "./errors.ts";

/** A call that Connect's handlers get: their context. */
export interface IncomingConnectCall {
  readonly signal: AbortSignal;
  readonly timeoutMs: () => number | undefined;
  readonly requestHeader: Headers;
}

/** A call that the handlers of grpc-js get. */
export interface IncomingGrpcCall {
  readonly metadata: { readonly get: (name: string) => readonly (string | Uint8Array)[] };
  readonly getDeadline: () => Date | number;
  readonly cancelled: boolean;
  readonly on: (event: "cancelled", listener: () => void) => unknown;
}

/** A request of `fetch`, as edge runtimes and frameworks hand it to their handlers. */
export interface IncomingRequest {
  readonly signal: AbortSignal;
  readonly headers: Headers;
}

/** What a service was asked, whichever way. */
export type IncomingCall = IncomingConnectCall | IncomingGrpcCall | IncomingRequest;

/** What tells tracing where a call belongs: https://www.w3.org/TR/trace-context/. */
const traceHeaders = ["traceparent", "tracestate", "baggage"];

/**
 * The options of a call that answers another one: it ends when that is left, has what is left of its time, and belongs to
 * its trace. Nothing else of the incoming call is sent on, its credentials least of all.
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
  throw invalidField("call", "it is no context of Connect, no call of grpc-js and no request of fetch");
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
    // Less than a moment is not "no limit".
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

/** By the headers of Connect and of gRPC. */
const timeoutOf = (headers: Headers): number | undefined => {
  const connect = /^\d{1,10}$/.exec(headers.get("connect-timeout-ms") ?? "")?.[0];
  if (connect !== undefined) return Number(connect);
  const [, amount, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  return amount === undefined ? undefined : Number(amount) * (unitMs[unit] ?? 1);
};

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };
