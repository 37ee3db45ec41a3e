/** Models that are listed and never loaded; for tests of the edge. */
import { Effect, Layer, Stream } from "effect";

import { ModelNotFound } from "../../src/service/domain/errors.ts";
import type { ModelCondition, ModelFacts, ModelStatus } from "../../src/service/domain/model.ts";
import { familyProfile } from "../../src/service/models/catalog/families.ts";
import { Models } from "../../src/service/models/Models.ts";
import type { Tokenizer } from "../../src/service/prompt/Tokenizer.ts";
import { tokenModel } from "./model-in-use.ts";
import { textTools } from "./text-tools.ts";

const facts: ModelFacts = {
  id: "demo",
  aliases: ["default-demo"],
  directory: "/srv/secret/models/demo",
  source: "",
  revision: "r1",
  architecture: "llama",
  family: "llama",
  contextLength: 512,
  vocabularySize: 256,
  parameterCount: 7_000_000,
  estimatedBytes: 28_000_000,
  eosTokenIds: [2],
  defaults: {
    temperature: 0.7,
    topP: 0.9,
    topK: 40,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    maxOutputTokens: 128,
    stopSequences: ["<|end|>"],
  },
  capabilities: {
    chat: true,
    tools: true,
    vision: false,
    logprobs: false,
    adapters: true,
    embeddings: true,
    constraints: [],
  },
  adapters: [],
  embedding: { pooling: "last-token", dimensions: 4, trained: false, matryoshka: undefined, problem: undefined },
  engine: "mlx",
};

export const modelStatus = (id: string, status: Partial<Omit<ModelStatus, "facts">> = {}): ModelStatus => ({
  facts: { ...facts, id },
  files: { ...facts, id },
  backend: undefined,
  isDefault: id === "demo",
  state: "active",
  stateReason: "",
  profile: familyProfile("unknown"),
  useCount: 3,
  users: 0,
  download: undefined,
  pinned: false,
  idleTtlMs: 0,
  reservedBytes: 2_000_000_000,
  loadedAt: 1_700_000_000_000,
  lastUsedAt: undefined,
  residentBytes: 40_000_000,
  kvCacheBytes: 1_000_000,
  prefixCacheBytes: 500_000,
  mlxActiveBytes: 30_000_000,
  mlxCacheBytes: 2_000_000,
  mlxPeakBytes: 35_000_000,
  engineRestarts: 1,
  ...status,
});

/** Its tokens are the UTF-8 bytes. */
const byteTokenizer: Tokenizer = {
  vocabularySize: 256,
  longestTokenBytes: 1,
  isSpecial: (id) => id <= 2,
  encode: (text, { addSpecialTokens }) => [...(addSpecialTokens ? [1] : []), ...Buffer.from(text)],
  decode: (ids, { skipSpecialTokens }) =>
    Buffer.from(ids.filter((id) => !skipSpecialTokens || id > 2)).toString("utf8"),
  bytes: (id) => Uint8Array.from(id < 256 ? [id] : []),
  piece: (id) => (id < 256 ? `<0x${id.toString(16).toUpperCase().padStart(2, "0")}>` : undefined),
};

const poolStatus = {
  loaded: 1,
  maxLoaded: 4,
  reservedBytes: 2_000_000_000,
  budgetBytes: 8_000_000_000,
  waiting: 0,
  loads: 3,
  loadFailures: 1,
  device: "metal" as const,
  backend: { version: "0.32.4", binding: "own" as const, reason: "it is the default" },
  left: { eviction: 2, limits: 0, idle: 1, unload: 0, removal: 0, failure: 0 },
};

/** `list` is asked at each call, so that a test can change what is listed. */
export const listedModels = (
  list: () => ReadonlyArray<ModelStatus> = () => [modelStatus("demo")],
  changes: Stream.Stream<ReadonlyMap<string, ModelCondition>> = Stream.never,
  asked: Partial<Models["Service"]> = {},
): Layer.Layer<Models> => {
  const find = (name: string) =>
    Effect.suspend(() => {
      const found = list().find(({ facts: { id }, isDefault }) => (name === "" ? isDefault : id === name));
      return found ? Effect.succeed(found) : Effect.fail(new ModelNotFound({ model: name, nearest: ["demo"] }));
    });
  return Layer.mock(Models, {
    ...asked,
    list: Effect.sync(list),
    get: find,
    pool: Effect.succeed(poolStatus),
    changes,
    use: (name) =>
      Effect.map(find(name), () =>
        tokenModel({
          facts: { ...facts, id: name === "" ? facts.id : name },
          profile: familyProfile("unknown"),
          ...textTools({ tokenizer: byteTokenizer }),
        }),
      ),
  });
};
