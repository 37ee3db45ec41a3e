/** Callers of every kind that come, wait, read slowly, change their mind, and vanish. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerateRequestSchema, GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { envelope } from "../support/raw-http.ts";
import { RawHttp2 } from "../support/raw-http2.ts";
import type { RunningService } from "../support/running-service.ts";

const kinds: ReadonlyArray<readonly [string, (baseUrl: string) => Transport]> = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["Connect on HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["Connect on HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
];

/** How calls ended: `finished`, or the reason of their error. */
type Endings = ReadonlyMap<string, number>;

interface CallersOptions {
  readonly calls: number;
  /** At once. */
  readonly callers: number;
  readonly seed: number;
}

export const callAndLeave = async (
  service: RunningService,
  { calls, callers, seed }: CallersOptions,
): Promise<Endings> => {
  const random = randomFrom(seed);
  const clients = kinds.map(([, transport]) => createClient(GenerationService, transport(service.url)));
  const endings = new Map<string, number>();
  const count = (ending: string): void => void endings.set(ending, (endings.get(ending) ?? 0) + 1);
  let left = calls;

  const one = async (): Promise<void> => {
    if (random() < 0.05) return vanish();
    const client = clients[Math.floor(random() * clients.length)];
    const abort = new AbortController();
    const behaviour = random();
    const tokens = 1 + Math.floor(random() * 24);
    const input = { case: "prompt", value: `${Math.floor(random() * 50)} and ` } as const;
    const task = { input, stop: { ignoreEos: true, maxOutputTokens: tokens } };
    const timeoutMs = behaviour < 0.2 ? 1 + Math.floor(random() * 200) : 60_000;
    const leaveAfterMs = behaviour >= 0.2 && behaviour < 0.4 ? random() * 200 : undefined;
    const leaver = leaveAfterMs === undefined ? undefined : setTimeout(() => abort.abort(), leaveAfterMs);
    const pauseMs = behaviour >= 0.9 ? random() * 20 : 0;
    try {
      let last = "nothing";
      const events = client?.streamGenerate({ task }, { signal: abort.signal, timeoutMs }) ?? [];
      for await (const { event } of events) {
        last = event.case ?? "";
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
        // Some leave in the midst of it.
        if (behaviour >= 0.4 && behaviour < 0.5 && last === "chunk") abort.abort();
      }
      count(last);
    } catch (cause) {
      count(endingOf(ConnectError.from(cause)));
    } finally {
      clearTimeout(leaver);
    }
  };

  /** Its connection goes away without a word in the midst of a call. */
  const vanish = async (): Promise<void> => {
    const connection = new RawHttp2(service.port);
    const task = { input: { case: "prompt", value: "gone" }, stop: { ignoreEos: true, maxOutputTokens: 200 } } as const;
    const request = toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task }));
    connection.call(1, "/mlxd.v1.GenerationService/StreamGenerate", envelope(request));
    await new Promise((resolve) => setTimeout(resolve, random() * 100));
    connection.socket.destroy();
    count("vanished");
  };

  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return endings;
};

const endingOf = (error: ConnectError): string => {
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  // Some clients tell of their own deadline and of their own leaving without asking anybody.
  return reason ?? `client: ${error.code}`;
};

/** The same numbers for the same seed: https://en.wikipedia.org/wiki/Xorshift */
export const randomFrom = (seed: number): (() => number) => {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
};
