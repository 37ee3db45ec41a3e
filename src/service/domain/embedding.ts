/** Embedding requests and results, in the service's own terms. */
import type { SchedulingHints } from "./generation-task.ts";
import type { Usage } from "./usage.ts";

export type Pooling = "last-token" | "mean" | "first-token";

export type EmbeddingInput =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tokens"; readonly ids: ReadonlyArray<number> };

export interface EmbeddingTask {
  /** As the caller named it; empty for the default model. */
  readonly model: string;
  readonly modelRevision?: string;
  readonly inputs: ReadonlyArray<EmbeddingInput>;
  /** Missing: the model's own pooling. */
  readonly pooling?: Pooling;
  readonly normalize: boolean;
  /** Keep only this many leading numbers; missing: all. */
  readonly dimensions?: number;
  /** Truncate inputs that are too long instead of refusing them. */
  readonly truncate: boolean;
  readonly scheduling: SchedulingHints;
}

interface Embedding {
  readonly values: Float32Array;
  /** How many tokens of the input the vector was computed from. */
  readonly tokens: number;
  /** Whether the input was truncated. */
  readonly truncated: boolean;
}

export interface EmbeddingResult {
  readonly model: string;
  readonly modelRevision: string;
  readonly pooling: Pooling;
  /** In the order of the inputs. */
  readonly embeddings: ReadonlyArray<Embedding>;
  readonly usage: Usage;
}
