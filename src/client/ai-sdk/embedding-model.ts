import type { EmbeddingModelV4 } from "@ai-sdk/provider";
import type { MlxdClient } from "../client.ts";
import { throwAbort } from "./aborts.ts";
import { presentHeaders } from "./call-options.ts";

/** The most texts that the service accepts per call. */
const maxEmbeddingsPerCall = 256;

/** An embedding model. */
export const createEmbeddingModel = (client: Pick<MlxdClient, "embed">, modelId: string): EmbeddingModelV4 => ({
  specificationVersion: "v4",
  provider: "mlxd",
  modelId,
  maxEmbeddingsPerCall,
  supportsParallelCalls: true,
  doEmbed: async ({ values, dimensions, abortSignal, headers, providerOptions }) => {
    const options = {
      ...providerOptions?.["mlxd"],
      ...(modelId !== "" && { model: modelId }),
      ...(dimensions !== undefined && { dimensions }),
      signal: abortSignal,
      headers: presentHeaders(headers),
    };
    const { embeddings, usage } = await client.embed(values, options).catch(throwAbort(abortSignal));
    return {
      embeddings: embeddings.map(({ values: vector }) => [...vector]),
      usage: { tokens: usage.promptTokens },
      warnings: [],
    };
  },
});
