/** What vectors are asked for and what comes back, in the service's own terms. */
import type { SchedulingHints } from "./generation.ts";
import type { Usage } from "./usage.ts";

export type Pooling = "last-token" | "mean" | "first-token";

export type EmbeddingInput =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tokens"; readonly ids: ReadonlyArray<number> };

export interface EmbeddingTask {
  /** As the caller named it; empty is the default model. */
  readonly model: string;
  readonly modelRevision?: string;
  readonly inputs: ReadonlyArray<EmbeddingInput>;
  /** Missing: the model's own. */
  readonly pooling?: Pooling;
  readonly normalize: boolean;
  /** Keep this many first numbers; missing: all. */
  readonly dimensions?: number;
  /** Take what fits of a longer input. */
  readonly truncate: boolean;
  readonly scheduling: SchedulingHints;
}

interface Embedding {
  readonly values: Float32Array;
  /** That it was made of. */
  readonly tokens: number;
  /** Whether the input was longer. */
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
