/** The client as a provider of the Vercel AI SDK: https://ai-sdk.dev. */
import { type EmbeddingModelV4, type LanguageModelV4, NoSuchModelError, type ProviderV4 } from "@ai-sdk/provider";
import { checkText } from "../check.ts";
import type { MlxdClient } from "../client.ts";
import { createMlxdClient, type WebClientOptions } from "../web.ts";
import { createEmbeddingModel } from "./embedding-model.ts";
import { createLanguageModel } from "./language-model.ts";

/** Options of {@link createMlxd}: an existing client, or the options of a client over `fetch`. */
export type MlxdProviderOptions = { readonly client: MlxdClient } | WebClientOptions;

/** The models of one service by name: `mlxd("demo")`. An empty name means the service's default model. */
export interface MlxdProvider extends ProviderV4 {
  (modelId?: string): LanguageModelV4;
  /** A language model. */
  languageModel(modelId?: string): LanguageModelV4;
  /** An embedding model. */
  embeddingModel(modelId?: string): EmbeddingModelV4;
}

/**
 * Makes a provider for `generateText`, `streamText`, `generateObject`, `embed` and the others of the package `ai`.
 *
 * `providerOptions.mlxd` of a call has parameters by the client's names, e.g. `{ mlxd: { minP: 0.1 } }`.
 */
export const createMlxd = (options: MlxdProviderOptions = {}): MlxdProvider => {
  const client = "client" in options ? options.client : createMlxdClient(options);
  const languageModel = (modelId = ""): LanguageModelV4 => createLanguageModel(client, checkText(modelId, "modelId"));
  const embeddingModel = (modelId = ""): EmbeddingModelV4 =>
    createEmbeddingModel(client, checkText(modelId, "modelId"));
  const imageModel = (modelId: string): never => {
    throw new NoSuchModelError({ modelId, modelType: "imageModel", message: "mlxd has no image models" });
  };
  const provider = (modelId?: string): LanguageModelV4 => languageModel(modelId);
  return Object.assign(provider, { specificationVersion: "v4" as const, languageModel, embeddingModel, imageModel });
};
