/** Vectors without a model: each input's number, and its length. */
import { Effect, Layer } from "effect";

import type { EmbeddingTask } from "../../src/service/domain/embedding.ts";
import type { ServiceError } from "../../src/service/domain/errors.ts";
import { Embeddings } from "../../src/service/pipeline/Embeddings.ts";

export interface EmbeddingScript {
  /** What is made of the task before the vectors are told; by default nothing. */
  readonly embed?: (task: EmbeddingTask) => Effect.Effect<void, ServiceError>;
}

export const scriptedEmbeddings = ({ embed = () => Effect.void }: EmbeddingScript): Layer.Layer<Embeddings> =>
  Layer.succeed(
    Embeddings,
    Embeddings.of({
      run: (task) =>
        Effect.map(embed(task), () => ({
          model: "demo",
          modelRevision: "r1",
          pooling: task.pooling ?? "last-token",
          embeddings: task.inputs.map((input, index) => {
            const tokens = input.type === "text" ? input.text.length : input.ids.length;
            return { values: Float32Array.of(index, tokens), tokens, truncated: false };
          }),
          usage: { promptTokens: 9, cachedPromptTokens: 0, outputTokens: 0 },
        })),
    }),
  );
