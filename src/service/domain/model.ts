/** A model as the service knows it. */
import type { Pooling } from "./embedding.ts";
import type { FamilyProfile } from "./family.ts";

export type ModelState =
  | "available"
  | "not-downloaded"
  | "downloading"
  | "loading"
  | "active"
  | "draining"
  | "unloading"
  | "failed";

/** The state of a model as a new task would find it. */
export interface ModelCondition {
  readonly state: ModelState;
  /** For a loaded model: whether its engine produces tokens. A model that is not loaded would be loaded first. */
  readonly delivers: boolean;
  /** The backend that it is on; undefined for a model of this machine. */
  readonly backend?: string | undefined;
}

/** A model as callers know it, wherever it runs. */
export interface ServedModel {
  readonly id: string;
  readonly aliases: ReadonlyArray<string>;
  readonly source: string;
  /** Changes whenever another model is behind the name; for local models a digest of the files. */
  readonly revision: string;
  readonly family: string;
  /** The most prompt and output tokens together. */
  readonly contextLength: number;
  readonly defaults: ModelDefaults;
  readonly capabilities: ModelCapabilities;
  /** The name of its engine's driver. */
  readonly engine: string;
}

/** What a model's files say about it, without loading it. */
export interface ModelFacts extends ServedModel {
  /** Absolute path of its folder. Never sent to callers. */
  readonly directory: string;
  /** `model_type` of config.json. */
  readonly architecture: string;
  readonly vocabularySize: number;
  readonly parameterCount: number;
  /** Bytes of the weights as the engine will hold them. */
  readonly estimatedBytes: number;
  /** The sizes that determine a step's memory; sizes that the config does not give are missing. */
  readonly widths?: ModelWidths;
  /** Token ids that end a sequence. */
  readonly eosTokenIds: ReadonlyArray<number>;
  readonly adapters: ReadonlyArray<AdapterFacts>;
  readonly embedding: EmbeddingFacts;
}

/** Widths of a layer, in numbers per token. */
interface ModelWidths {
  readonly hidden: number;
  readonly intermediate: number;
  /** The number of query heads. */
  readonly attentionHeads: number;
}

/** What the files of an adapter say, without loading it. */
export interface AdapterFacts {
  readonly id: string;
  /** Absolute path of its folder. Never sent to callers. */
  readonly directory: string;
  /** A digest that changes with its files; empty if they cannot be read. */
  readonly revision: string;
  /** The most bytes that an engine needs for its tensors. */
  readonly bytes: number;
  /** Why it cannot be applied, in one sentence; undefined if no reason is known. */
  readonly problem: string | undefined;
}

/** How a model computes embeddings, according to its files. */
export interface EmbeddingFacts {
  readonly pooling: Pooling;
  /** Numbers in a vector. */
  readonly dimensions: number;
  /** Whether its files describe embeddings; otherwise it is a generation model. */
  readonly trained: boolean;
  /** Lengths that its vectors may be truncated to: none listed means any length. Undefined if they may not be truncated. */
  readonly matryoshka: ReadonlyArray<number> | undefined;
  /** Why it cannot compute embeddings, in a few words; undefined if it can. */
  readonly problem: string | undefined;
}

/** Defaults for tasks that do not set an option. */
export interface ModelDefaults {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number | undefined;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Limited to the room that the prompt leaves in the context. */
  readonly maxOutputTokens: number;
  readonly stopSequences: ReadonlyArray<string>;
}

export interface ModelCapabilities {
  readonly chat: boolean;
  readonly tools: boolean;
  readonly vision: boolean;
  readonly logprobs: boolean;
  readonly adapters: boolean;
  readonly embeddings: boolean;
  readonly constraints: ReadonlyArray<string>;
}

/** A model on the hub. */
export interface HubModel {
  /** `organisation/name` */
  readonly repository: string;
  /** Branch, tag or commit; empty for the newest. */
  readonly revision: string;
}

/** A model's facts together with its current state. */
export interface ModelStatus {
  readonly facts: ServedModel;
  /** What its files say; undefined if the files are on another server. */
  readonly files: ModelFacts | undefined;
  /** The name of the server that it is on; undefined if it runs here. */
  readonly backend: string | undefined;
  /** The family's settings, overridden by the configuration. */
  readonly profile: FamilyProfile;
  readonly isDefault: boolean;
  readonly state: ModelState;
  /**
   * One sentence, for `failed` and `not-downloaded` models and for a loaded model that does not answer; otherwise
   * empty.
   */
  readonly stateReason: string;
  /** Where to download it from while its files are missing; undefined once they are here. */
  readonly download: HubModel | undefined;
  /** A pinned model is neither evicted nor unloaded for being idle. */
  readonly pinned: boolean;
  /** The model is unloaded after this time without a task; 0: never. */
  readonly idleTtlMs: number;
  /** Its share of the memory budget; 0 if it is neither loaded nor loading. */
  readonly reservedBytes: number;
  /** Epoch milliseconds. */
  readonly loadedAt: number | undefined;
  readonly lastUsedAt: number | undefined;
  /** How many tasks have used it since it was loaded. */
  readonly useCount: number;
  /** Tasks that have its engine or wait for it. */
  readonly users: number;
  /** Resident memory of the engine's process; 0 if not loaded. */
  readonly residentBytes: number;
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Bytes of live MLX arrays, bytes of freed buffers that MLX keeps, and the peak bytes of live arrays. */
  readonly mlxActiveBytes: number;
  readonly mlxCacheBytes: number;
  readonly mlxPeakBytes: number;
  readonly engineRestarts: number;
}
