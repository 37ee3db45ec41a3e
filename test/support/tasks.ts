/** Tasks and model facts for tests, complete but for what a test is about. */
import type { ChatMessage, Role } from "../../src/service/domain/conversation.ts";
import type { GenerationTask } from "../../src/service/domain/generation-task.ts";
import type { ModelFacts } from "../../src/service/domain/model.ts";

export const message = (role: Role, text: string): ChatMessage => ({
  role,
  content: [{ type: "text" as const, text }],
  toolCalls: [],
  toolCallId: "",
  name: "",
  reasoning: "",
});

export const task = (overrides: Partial<GenerationTask> = {}): GenerationTask => ({
  model: "",
  input: { type: "prompt", text: "hello" },
  reasoning: {},
  sampling: {},
  stop: { stopSequences: [], stopTokenIds: [], ignoreEos: false, includeStopInOutput: false },
  output: { tokenIds: false, verbatim: false, promptLogprobs: false, echoPrompt: false, timings: false },
  scheduling: { priority: 0, fairnessId: "" },
  cache: { mode: "read-write", partition: "" },
  labels: {},
  ...overrides,
});

export const chat = (...messages: ReadonlyArray<ChatMessage>): GenerationTask["input"] => ({
  type: "chat",
  messages,
  tools: [],
  toolChoice: { mode: "auto" },
  templateOptions: {},
  continueFinalMessage: false,
});

export const facts = (overrides: Partial<ModelFacts> = {}): ModelFacts => ({
  id: "tiny",
  aliases: [],
  directory: "/nowhere",
  source: "",
  revision: "r1",
  architecture: "qwen2",
  family: "qwen",
  contextLength: 32,
  vocabularySize: 256,
  parameterCount: 1000,
  estimatedBytes: 4000,
  eosTokenIds: [0],
  defaults: {
    temperature: 0,
    topP: 1,
    topK: undefined,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    maxOutputTokens: 16,
    stopSequences: [],
  },
  capabilities: {
    chat: true,
    tools: false,
    vision: false,
    logprobs: true,
    adapters: true,
    embeddings: true,
    constraints: [],
  },
  adapters: [],
  embedding: { pooling: "last-token", dimensions: 4, trained: false, matryoshka: undefined, problem: undefined },
  engine: "mlx",
  ...overrides,
});
