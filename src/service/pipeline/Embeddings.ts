/** Runs embedding tasks: resolve the model, tokenise, admit, compute, account. */
import { Context, type Effect } from "effect";

import type { EmbeddingResult, EmbeddingTask } from "../domain/embedding.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { TaskOptions } from "./Generations.ts";

export class Embeddings extends Context.Service<
  Embeddings,
  {
    /** Interruption drops the texts that are not computed yet and gives the place back. */
    readonly run: (task: EmbeddingTask, options?: TaskOptions) => Effect.Effect<EmbeddingResult, ServiceError>;
  }
>()("mlxd/pipeline/Embeddings") {}
