import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import {
  Device,
  type GenerationStatsSchema,
  type ModelStatsSchema,
  type ServerService,
} from "../../client/gen/mlxd/v1/server_service_pb.ts";
import { Access } from "../access/Access.ts";
import { warningsOf } from "../access/exposure.ts";
import { AdmissionConfig } from "../config/AdmissionConfig.ts";
import { ServerConfig } from "../config/ServerConfig.ts";
import { versions } from "../config/versions.ts";
import type { ModelStatus } from "../domain/model.ts";
import { Load, type LoadReport } from "../load/Load.ts";
import { Models, type PoolStatus } from "../models/Models.ts";
import { emptyStats, type GenerationStats, Stats } from "../telemetry/Stats.ts";
import { Bridge } from "./Bridge.ts";
import { durationFromMs, msFromDuration } from "./duration.ts";
import { modelStates } from "./model-to-wire.ts";

export const makeServerService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const stats = yield* Stats;
  const load = yield* Load;
  const config = yield* ServerConfig;
  const { isAsking, refusals } = yield* Access;
  const { maxRunning, maxQueued } = yield* AdmissionConfig;
  const limits = {
    maxMessageBytes: config.maxMessageBytes,
    maxDeadline: durationFromMs(config.maxDeadlineMs),
    defaultDeadline: durationFromMs(config.defaultDeadlineMs),
    maxRunning,
    maxQueued,
  };
  return {
    getServerInfo: (received, context) =>
      bridge.unary(received, context, () =>
        Effect.gen(function* () {
          const known = yield* models.list;
          const { device, backend } = yield* models.pool;
          return {
            version: versions.mlxd,
            mlxVersion: backend.version,
            mlxBinding: backend.binding,
            mlxBindingReason: backend.reason,
            device: devices[device ?? "none"],
            platform: `${process.platform}-${process.arch}`,
            nodeVersion: process.versions.node,
            startedAt: timestampFromMs(stats.since),
            defaultModel: known.find(({ isDefault }) => isDefault)?.facts.id ?? "",
            limits,
            warnings: [...warningsOf(config, isAsking())],
          };
        }),
      ),
    getStats: (received, context) =>
      bridge.unary(received, context, () =>
        Effect.gen(function* () {
          const known = yield* models.list;
          const counted = yield* stats.snapshot;
          return {
            since: timestampFromMs(stats.since),
            total: sum([...counted.values()]),
            models: known.flatMap((status) => {
              const generations = counted.get(status.facts.id);
              return generations === undefined ? [] : modelStatsToWire(status, generations);
            }),
            serviceResidentBytes: process.memoryUsage.rss(),
            pool: poolToWire(yield* models.pool),
            quotaRefusals: [...refusals()],
          };
        }),
      ),
    getLoad: (received, context) =>
      bridge.unary(received, context, () => Effect.map(load.now, (now) => ({ load: loadToWire(now) }))),
    watchLoad: (received, context) =>
      bridge.stream(received, context, {
        stream: ({ interval }) =>
          interval === undefined
            ? load.watch(defaultWatchMs)
            : Stream.unwrap(Effect.map(Effect.fromResult(msFromDuration("interval", interval)), load.watch)),
        toWire: (now) => ({ load: loadToWire(now) }),
        endless: true,
      }),
  } satisfies ServiceImpl<typeof ServerService>;
});

const modelStatsToWire = (
  status: ModelStatus,
  generations: Readonly<GenerationStats>,
): MessageInitShape<typeof ModelStatsSchema> => ({
  model: status.facts.id,
  state: modelStates[status.state],
  generations,
  residentBytes: status.residentBytes,
  kvCacheBytes: status.kvCacheBytes,
  prefixCacheBytes: status.prefixCacheBytes,
  mlxActiveBytes: status.mlxActiveBytes,
  mlxCacheBytes: status.mlxCacheBytes,
  mlxPeakBytes: status.mlxPeakBytes,
  engineRestarts: status.engineRestarts,
});

const defaultWatchMs = 1_000;

const loadToWire = ({ models, ...load }: LoadReport) => ({
  ...load,
  models: models.map(({ state, ...model }) => ({ ...model, state: modelStates[state] })),
});

const poolToWire = ({ left, device: _device, backend: _backend, ...pool }: PoolStatus) => ({
  ...pool,
  evictions: left.eviction + left.limits,
  idleUnloads: left.idle,
  unloads: left.unload + left.removal,
  engineFailures: left.failure,
});

/** By the names that engines report. */
const devices = { none: Device.UNSPECIFIED, cpu: Device.CPU, metal: Device.METAL } as const;

const sum = (all: ReadonlyArray<Readonly<GenerationStats>>): MessageInitShape<typeof GenerationStatsSchema> => {
  const total = emptyStats();
  for (const stats of all) {
    for (const key of Object.keys(total) as ReadonlyArray<keyof GenerationStats>) total[key] += stats[key];
  }
  return total;
};
