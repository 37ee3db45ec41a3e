/** A batch of texts on its way through the service: validate, resolve, tokenise, admit, compute, account. */
import { Context, type Effect } from "effect";

import type { EmbeddingResult, EmbeddingTask } from "../domain/embedding.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { TaskOptions } from "./Generations.ts";

export class Embeddings extends Context.Service<
  Embeddings,
  {
    /** Interrupting it at any moment drops what is not computed yet and gives its place back. */
    readonly run: (task: EmbeddingTask, options?: TaskOptions) => Effect.Effect<EmbeddingResult, ServiceError>;
  }
>()("mlxd/pipeline/Embeddings") {}
