import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import { type Model, ModelSchema, ModelState as WireState } from "../../client/gen/mlxd/v1/model_service_pb.ts";
import type { EmbeddingFacts, ModelState, ModelStatus } from "../domain/model.ts";
import type { SmokeTest } from "../domain/smoke-test.ts";
import { modelKey } from "../domain/model-identity.ts";
import { poolingToWire } from "./embedding-service.ts";
import { durationFromMs } from "./duration.ts";
import { smokeTestToWire } from "./smoke-test-to-wire.ts";

export const modelStates = {
  available: WireState.AVAILABLE,
  "not-downloaded": WireState.NOT_DOWNLOADED,
  downloading: WireState.DOWNLOADING,
  loading: WireState.LOADING,
  active: WireState.ACTIVE,
  draining: WireState.DRAINING,
  unloading: WireState.UNLOADING,
  failed: WireState.FAILED,
} as const satisfies Record<ModelState, WireState>;

/** Whether a model in this state has memory: it is loaded, on its way there or on its way out. */
export const isResidentState: Readonly<Record<ModelState, boolean>> = {
  available: false,
  "not-downloaded": false,
  downloading: false,
  loading: true,
  active: true,
  draining: true,
  unloading: true,
  failed: false,
};

/** Never includes the model's folder. */
export const modelToWire = (
  { facts, files, ...status }: ModelStatus,
  smokeTest?: SmokeTest,
  chatRefused = false,
): Model => {
  const { defaults, capabilities } = facts;
  return create(ModelSchema, {
    id: facts.id,
    aliases: [...facts.aliases],
    source: facts.source,
    revision: facts.revision,
    isDefault: status.isDefault,
    state: modelStates[status.state],
    stateReason: status.stateReason,
    family: facts.family,
    architecture: files?.architecture ?? "",
    contextLength: facts.contextLength,
    defaultMaxOutputTokens: defaults.maxOutputTokens,
    defaultSampling: {
      temperature: defaults.temperature,
      topP: defaults.topP,
      minP: defaults.minP,
      repetitionPenalty: defaults.repetitionPenalty,
      presencePenalty: defaults.presencePenalty,
      frequencyPenalty: defaults.frequencyPenalty,
      ...(defaults.topK === undefined ? {} : { topK: defaults.topK }),
    },
    stopSequences: [...defaults.stopSequences],
    capabilities: { ...capabilities, constraints: [...capabilities.constraints] },
    vocabularySize: files?.vocabularySize ?? 0,
    parameterCount: files?.parameterCount ?? 0,
    residentBytes: status.residentBytes,
    mlxActiveBytes: status.mlxActiveBytes,
    mlxCacheBytes: status.mlxCacheBytes,
    estimatedBytes: files?.estimatedBytes ?? 0,
    pinned: status.pinned,
    reservedBytes: status.reservedBytes,
    ...(status.idleTtlMs === 0 ? {} : { idleTtl: durationFromMs(status.idleTtlMs) }),
    ...(status.loadedAt === undefined ? {} : { loadedAt: timestampFromMs(status.loadedAt) }),
    ...(status.lastUsedAt === undefined ? {} : { lastUsedAt: timestampFromMs(status.lastUsedAt) }),
    engine: facts.engine,
    key: modelKey(facts.engine, facts.id),
    useCount: status.useCount,
    adapters: (files?.adapters ?? []).map(({ id, revision, problem = "" }) => ({ id, revision, problem })),
    ...(capabilities.embeddings && files && { embedding: embeddingToWire(files.embedding) }),
    chatRefused,
    ...(smokeTest && { smokeTest: smokeTestToWire(smokeTest) }),
  });
};

const embeddingToWire = ({ pooling, dimensions, trained, matryoshka }: EmbeddingFacts) => ({
  pooling: poolingToWire[pooling],
  dimensions,
  trained,
  matryoshka: matryoshka !== undefined,
  matryoshkaDimensions: [...(matryoshka ?? [])],
});
