import type { ServedModel } from "../../src/service/domain/model.ts";

/** A model of a server that takes chats and tools. */
export const servedModel = (facts: Pick<ServedModel, "id" | "source" | "engine">): ServedModel => ({
  aliases: [],
  revision: `attic:${facts.source}`,
  family: "unknown",
  contextLength: 4096,
  defaults: {
    temperature: 0.7,
    topP: 1,
    topK: undefined,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    maxOutputTokens: 64,
    stopSequences: [],
  },
  capabilities: {
    chat: true,
    tools: true,
    vision: false,
    logprobs: false,
    adapters: false,
    embeddings: false,
    constraints: [],
  },
  ...facts,
});
