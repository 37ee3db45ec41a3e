/** The kinds of tasks, which of them an engine or a model supports, and why not the others. */
import type { ConversationOption } from "./conversation-options.ts";
import type { ModelCapabilities, ModelStatus } from "./model.ts";

export interface TaskKind {
  readonly name: string;
  readonly description: string;
  /** The RPCs for it. */
  readonly calls: ReadonlyArray<string>;
  /** Why it is not supported; undefined if it is. */
  readonly whyNot: (of: Abilities) => string | undefined;
}

/** What an engine or a model can do. */
export interface Abilities {
  readonly capabilities: ModelCapabilities;
  /** The options that an engine which takes conversations supports; undefined for one that takes tokens and supports all. */
  readonly options: ReadonlySet<ConversationOption> | undefined;
  /** Why it computes no embeddings, if its files say so. */
  readonly embeddingProblem?: string | undefined;
  /** Whether conversations are refused because its smoke test failed. */
  readonly refusesChat?: boolean;
}

export interface TaskSupport {
  readonly task: string;
  readonly supported: boolean;
  readonly reason: string;
}

const generating = [
  "GenerationService/Generate",
  "GenerationService/StreamGenerate",
  "GenerationService/BatchGenerate",
];
const conversationsOnly = "its engine takes conversations only";

const whyNoChat = ({ capabilities, refusesChat }: Abilities): string | undefined => {
  if (refusesChat === true)
    return "its smoke test failed, so that conversations are refused; PrepareModel tries it again";
  return capabilities.chat ? undefined : "it takes no conversations";
};

const constraint = (name: string, description: string): TaskKind => ({
  name,
  description,
  calls: generating,
  whyNot: ({ capabilities }) =>
    capabilities.constraints.includes(name) ? undefined : "its engine does not support such a constraint",
});

export const taskKinds: ReadonlyArray<TaskKind> = [
  { name: "chat", description: "answers a conversation", calls: generating, whyNot: whyNoChat },
  {
    name: "prompt",
    description: "continues a text as it stands",
    calls: generating,
    whyNot: ({ options }) => (options === undefined || options.has("prompt") ? undefined : conversationsOnly),
  },
  {
    name: "tokens",
    description: "continues token ids",
    calls: generating,
    whyNot: ({ options }) => (options === undefined || options.has("tokens") ? undefined : conversationsOnly),
  },
  {
    name: "tools",
    description: "calls tools in a conversation",
    calls: generating,
    whyNot: (of) => {
      if (of.capabilities.tools) return whyNoChat(of);
      return of.options === undefined ? "its chat template has no place for tools" : "its engine takes no tools";
    },
  },
  {
    name: "vision",
    description: "answers a conversation with images",
    calls: generating,
    whyNot: ({ capabilities }) => (capabilities.vision ? undefined : "its engine takes no images"),
  },
  constraint("json_schema", "writes JSON that fits a schema"),
  constraint("json_object", "writes a JSON object"),
  constraint("regex", "writes what a regular expression matches"),
  constraint("grammar", "writes what a grammar derives"),
  constraint("choice", "writes one of several texts"),
  {
    name: "logprobs",
    description: "returns log probabilities of tokens",
    calls: generating,
    whyNot: ({ capabilities, options }) =>
      capabilities.logprobs || options?.has("output.top_logprobs") === true
        ? undefined
        : "its engine does not return them",
  },
  {
    name: "adapters",
    description: "generates with a LoRA adapter",
    calls: generating,
    whyNot: ({ capabilities }) => (capabilities.adapters ? undefined : "its engine applies no adapters"),
  },
  {
    name: "embeddings",
    description: "computes embeddings of texts",
    calls: ["EmbeddingService/Embed"],
    whyNot: ({ capabilities, embeddingProblem }) =>
      capabilities.embeddings ? undefined : (embeddingProblem ?? "its engine computes no embeddings"),
  },
  {
    name: "tokenize",
    description: "converts between texts and tokens, and counts tokens",
    calls: ["TokenizerService/Tokenize", "TokenizerService/Detokenize", "TokenizerService/CountTokens"],
    whyNot: ({ options }) => (options === undefined ? undefined : "its engine takes conversations and has no tokens"),
  },
];

/** What an engine or a model with these abilities supports. */
export const supportOf = (of: Abilities, kinds: ReadonlyArray<TaskKind> = taskKinds): ReadonlyArray<TaskSupport> =>
  kinds.map(({ name, whyNot }) => supportFrom(name, whyNot(of)));

/** What a model supports now: nothing if it cannot be loaded. */
export const modelSupportOf = (
  { state, stateReason, facts, files }: ModelStatus,
  options: ReadonlySet<ConversationOption> | undefined,
  refusesChat: boolean,
  kinds: ReadonlyArray<TaskKind> = taskKinds,
): ReadonlyArray<TaskSupport> => {
  const { capabilities } = facts;
  const embeddingProblem = files?.embedding.problem;
  const missing = unusable[state];
  if (missing === undefined) return supportOf({ capabilities, options, embeddingProblem, refusesChat }, kinds);
  return kinds.map(({ name }) => supportFrom(name, stateReason === "" ? missing : `${missing}: ${stateReason}`));
};

/** Why a model in this state supports nothing. In all other states it can be loaded. */
const unusable: Partial<Record<ModelStatus["state"], string>> = {
  failed: "it has failed",
  "not-downloaded": "its files are not here",
  downloading: "it is being downloaded",
};

const supportFrom = (task: string, reason = ""): TaskSupport => ({ task, supported: reason === "", reason });
