import { type Caller, checkOptions } from "./caller.ts";
import type { MlxdClient, RawClients } from "./client.ts";
import { embeddingsFromWire, embedRequest } from "./embeddings.ts";

/** The call of the EmbeddingService. */
export const createEmbeddingCalls = (caller: Caller, raw: RawClients["embedding"]): Pick<MlxdClient, "embed"> => ({
  embed: async (input, options = {}) => {
    const { signal, timeoutMs, headers, ...parameters } = checkOptions(options);
    const request = embedRequest(input, parameters, caller.model);
    const call = { signal, timeoutMs, headers };
    const response = await caller.unary(call, (connect) => raw.embed(request, connect));
    return embeddingsFromWire(response, Array.isArray(input) ? input.length : 1);
  },
});
