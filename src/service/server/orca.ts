/**
 * Load reports in ORCA's format, for balancers that use weights: grpc-js, gRPC-Go, gRPC-Java, Envoy. They are sent in a
 * trailer of each gRPC call, and out of band by a service of its own, which long streams need:
 * https://github.com/grpc/proposal/blob/master/A51-custom-backend-metrics.md
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import { type OrcaLoadReport, OrcaLoadReportSchema } from "../../client/gen/xds/data/orca/v3/orca_load_report_pb.ts";
import type { OpenRcaService } from "../../client/gen/xds/service/orca/v3/orca_pb.ts";
import { Load, type LoadAverages, type LoadReport } from "../load/Load.ts";
import { Bridge } from "../rpc/Bridge.ts";
import { msFromDuration } from "../rpc/duration.ts";

export const makeOrcaService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const load = yield* Load;
  return {
    streamCoreMetrics: (received, context) =>
      bridge.stream(received, context, {
        stream: ({ reportInterval }) =>
          reportInterval === undefined
            ? load.watch(defaultIntervalMs)
            : Stream.unwrap(
                Effect.map(Effect.fromResult(msFromDuration("report_interval", reportInterval)), (ms) =>
                  load.watch(Math.max(minIntervalMs, ms)),
                ),
              ),
        toWire: reportOf,
        endless: true,
      }),
  } satisfies ServiceImpl<typeof OpenRcaService>;
});

const defaultIntervalMs = 10_000;
const minIntervalMs = 100;

/** The trailer of a gRPC call. It contains averages only, because these are already available. */
export const createLoadTrailers = (averages: () => LoadAverages): (() => Readonly<Record<string, string>>) => {
  let madeAt = -Infinity;
  let made: Readonly<Record<string, string>> = {};
  return () => {
    const now = performance.now();
    if (now - madeAt > trailerMs) {
      madeAt = now;
      const report = toBinary(OrcaLoadReportSchema, averagesOf(averages()));
      made = { "endpoint-load-metrics-bin": base64Encode(report, "std_raw") };
    }
    return made;
  };
};

/** As often as the averages change. */
const trailerMs = 250;

const averagesOf = (averages: LoadAverages): OrcaLoadReport =>
  create(OrcaLoadReportSchema, {
    applicationUtilization: averages.utilization,
    cpuUtilization: averages.cpuUtilization,
    rpsFractional: averages.generationsPerSecond,
    eps: averages.failuresPerSecond,
  });

const reportOf = (load: LoadReport): OrcaLoadReport => {
  const { memoryReservedBytes, memoryBudgetBytes, models, slots, running, waiting, waitingPromptTokens } = load;
  const kvCache = models.map(({ kvCacheBytes, kvCacheLimitBytes }) => kvCacheBytes / kvCacheLimitBytes);
  return create(OrcaLoadReportSchema, {
    ...averagesOf(load),
    memUtilization: shareOf(memoryReservedBytes / memoryBudgetBytes),
    // The fullest cache of all models, because its model's calls wait first.
    utilization: { kv_cache: shareOf(Math.max(0, ...kvCache)) },
    namedMetrics: { slots, running, waiting, waiting_prompt_tokens: waitingPromptTokens },
  });
};

const shareOf = (value: number): number => Math.min(1, Math.max(0, value));
