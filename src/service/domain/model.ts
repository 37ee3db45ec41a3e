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

/** What a task meets that asks for a model. */
export interface ModelCondition {
  readonly state: ModelState;
  /** Of one that is loaded: whether its engine delivers tokens. Others would be loaded first. */
  readonly delivers: boolean;
  /** The backend that it is on; undefined for a model of this machine. */
  readonly backend?: string | undefined;
}

/** A model as callers know it, wherever it runs. */
export interface ServedModel {
  readonly id: string;
  readonly aliases: ReadonlyArray<string>;
  readonly source: string;
  /** Another one where another model is behind the name: of a model's files it is a digest. */
  readonly revision: string;
  readonly family: string;
  /** Prompt and output tokens at most. */
  readonly contextLength: number;
  readonly defaults: ModelDefaults;
  readonly capabilities: ModelCapabilities;
  /** The name of its engine's driver. */
  readonly engine: string;
}

/** What a model's files say of it, without loading it. */
export interface ModelFacts extends ServedModel {
  /** Absolute path of its folder. Never told to callers. */
  readonly directory: string;
  /** `model_type` of config.json. */
  readonly architecture: string;
  readonly vocabularySize: number;
  readonly parameterCount: number;
  /** Bytes of its weights as the engine will hold them. */
  readonly estimatedBytes: number;
  /** What the memory of a step depends on; what its config leaves out is missing. */
  readonly widths?: ModelWidths;
  /** Token ids that end a sequence. */
  readonly eosTokenIds: ReadonlyArray<number>;
  readonly adapters: ReadonlyArray<AdapterFacts>;
  readonly embedding: EmbeddingFacts;
}

/** Numbers that a layer computes for each token. */
interface ModelWidths {
  readonly hidden: number;
  readonly intermediate: number;
  /** Of the queries. */
  readonly attentionHeads: number;
}

/** What the files of an adapter say, without loading it. */
export interface AdapterFacts {
  readonly id: string;
  /** Absolute path of its folder. Never told to callers. */
  readonly directory: string;
  /** A digest that changes with its files; empty where they cannot be read. */
  readonly revision: string;
  /** Of its tensors as an engine holds them, at most. */
  readonly bytes: number;
  /** Why it cannot be applied, in one sentence; undefined as far as is known. */
  readonly problem: string | undefined;
}

/** How a model makes vectors, as its files say. */
export interface EmbeddingFacts {
  readonly pooling: Pooling;
  /** Numbers in a vector. */
  readonly dimensions: number;
  /** Its files tell how: otherwise it is a model that generates. */
  readonly trained: boolean;
  /** Lengths that its vectors may be cut to; none: any; undefined: they may not be cut. */
  readonly matryoshka: ReadonlyArray<number> | undefined;
  /** Why it makes none, in a few words; undefined if it does. */
  readonly problem: string | undefined;
}

/** What a task that does not say runs with. */
export interface ModelDefaults {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number | undefined;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Clamped to the room that the prompt leaves. */
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

/** A model at the hub. */
export interface HubModel {
  /** `organisation/name` */
  readonly repository: string;
  /** Branch, tag or commit; empty: the newest. */
  readonly revision: string;
}

/** Facts with what holds at this moment. */
export interface ModelStatus {
  readonly facts: ServedModel;
  /** What its files say; undefined where its engine has them and not this service. */
  readonly files: ModelFacts | undefined;
  /** What suits its family, with what the configuration says instead. */
  readonly profile: FamilyProfile;
  readonly isDefault: boolean;
  readonly state: ModelState;
  /** One sentence, for `failed` and `not-downloaded`, and for a loaded one that does not answer; otherwise empty. */
  readonly stateReason: string;
  /** Where it is to be had, while its files are not here; undefined when they are. */
  readonly download: HubModel | undefined;
  /** Neither evicted nor unloaded for being idle. */
  readonly pinned: boolean;
  /** Without a task for this long it is unloaded; 0: never. */
  readonly idleTtlMs: number;
  /** What it takes of the memory budget; 0 when neither loaded nor loading. */
  readonly reservedBytes: number;
  /** Epoch milliseconds. */
  readonly loadedAt: number | undefined;
  readonly lastUsedAt: number | undefined;
  /** Tasks that used it since it was loaded. */
  readonly useCount: number;
  /** Tasks that have its engine or wait for it. */
  readonly users: number;
  /** Of the engine's process; 0 when not loaded. */
  readonly residentBytes: number;
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Of MLX's arrays that are alive, of freed buffers that it keeps, and the most that arrays took at once. */
  readonly mlxActiveBytes: number;
  readonly mlxCacheBytes: number;
  readonly mlxPeakBytes: number;
  readonly engineRestarts: number;
}
