import type { IncomingHttpHeaders } from "node:http";

import type { CallDeadline } from "../rpc/call-values.ts";

const grpcUnitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Takes the deadline out of a request's headers. Any length is accepted and reduced to the allowed maximum; Connect
 * would refuse a long one or, above 2^31 ms, let it fire immediately. A malformed deadline is left for Connect to
 * refuse.
 */
export const takeDeadline = (headers: IncomingHttpHeaders, receivedAt: number): CallDeadline => {
  const isGrpc = headers["content-type"]?.startsWith("application/grpc") ?? false;
  const name = isGrpc ? "grpc-timeout" : "connect-timeout-ms";
  const value = headers[name];
  if (typeof value !== "string") return { receivedAt, timeoutMs: undefined };
  const timeoutMs = isGrpc ? msFromGrpcTimeout(value) : msFromConnectTimeout(value);
  if (timeoutMs !== undefined) delete headers[name];
  return { receivedAt, timeoutMs };
};

const msFromGrpcTimeout = (value: string): number | undefined => {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const unitMs = grpcUnitMs[unit];
  return unitMs === undefined ? undefined : Number(digits) * unitMs;
};

const msFromConnectTimeout = (value: string): number | undefined =>
  /^\d{1,10}$/.test(value) ? Number(value) : undefined;
