/** What is known of families of models: how they are told by name, and what suits them. */

export type Family =
  | "gpt-oss"
  | "gemma"
  | "qwen"
  | "llama"
  | "mistral"
  | "phi"
  | "deepseek"
  | "yi"
  | "claude"
  | "gpt-4"
  | "gpt-3.5"
  | "o1"
  | "unknown";

export interface FamilyProfile {
  readonly supportsSystem: boolean;
  readonly supportsVision: boolean;
  readonly chatTemplate: string;
  /** Best first. */
  readonly preferredEngines: ReadonlyArray<string>;
  readonly temperature: number;
  readonly topP: number;
  readonly maxOutputTokens: number;
  /** Matched in text, beside the end-of-sequence tokens of the checkpoint. */
  readonly stopSequences: ReadonlyArray<string>;
  readonly allowsDraft: boolean;
  /** In this order. */
  readonly postprocess: ReadonlyArray<string>;
}

/** Case does not matter, a known provider's prefix neither. */
export const detectFamily = (modelId: string): Family => {
  const name = dropProviderPrefix(modelId).toLowerCase();
  return patterns.find(([, pattern]) => pattern.test(name))?.[0] ?? "unknown";
};

/** Families without a profile of their own have the one of `unknown`. Frozen, as all its lists are. */
export const familyProfile = (family: Family): FamilyProfile => profiles[family] ?? unknownProfile;

/** `ollama:qwen3:8b` is `qwen3:8b`; `qwen3:8b` stays, as only known providers count. */
const dropProviderPrefix = (modelId: string): string => {
  const [prefix = "", ...rest] = modelId.split(":");
  return rest.length > 0 && providers.has(prefix.trim().toLowerCase()) ? rest.join(":") : modelId;
};

const providers = new Set(
  (
    "local_mlx local-mlx mlx ollama vllm lmstudio lm-studio llamacpp llama.cpp llama-cpp " +
    "openai anthropic openrouter groq together"
  ).split(" "),
);

/** The first that matches: a DeepSeek distil of Qwen is a qwen. */
const patterns: ReadonlyArray<readonly [Family, RegExp]> = [
  ["gpt-oss", /gpt[-_]?oss/],
  ["gemma", /gemma/],
  ["qwen", /qwen/],
  ["llama", /\bllama|meta[-_]llama/],
  ["mistral", /mistral|mixtral/],
  ["phi", /\bphi[-_]?\d/],
  ["deepseek", /deepseek/],
  ["yi", /\byi[-_]?\d/],
  ["claude", /claude/],
  ["gpt-4", /gpt-?4/],
  ["gpt-3.5", /gpt-?3\.?5/],
  ["o1", /\bo1/],
];

const profile = (values: Partial<FamilyProfile>): FamilyProfile => {
  const whole: FamilyProfile = {
    supportsSystem: true,
    supportsVision: false,
    chatTemplate: "tokenizer_default",
    preferredEngines: [],
    temperature: 0.2,
    topP: 0.9,
    maxOutputTokens: 4096,
    stopSequences: [],
    allowsDraft: true,
    postprocess: ["strip_role_tokens"],
    ...values,
  };
  for (const list of [whole.preferredEngines, whole.stopSequences, whole.postprocess]) Object.freeze(list);
  return Object.freeze(whole);
};

const unknownProfile = profile({
  maxOutputTokens: 2048,
  stopSequences: ["<|im_end|>", "<|endoftext|>", "</s>", "<|user|>", "<|assistant|>"],
});

const profiles: Readonly<Partial<Record<Family, FamilyProfile>>> = {
  "gpt-oss": profile({
    chatTemplate: "gpt_oss",
    preferredEngines: ["ollama", "llamacpp", "vllm", "local_mlx"],
    temperature: 0.1,
    maxOutputTokens: 2048,
    stopSequences: ["<|im_end|>", "<|end|>", "</s>", "<|user|>", "<|assistant|>"],
    allowsDraft: false,
    // The trim needs the marker that the other removes.
    postprocess: ["trim_after_user_marker", "strip_role_tokens"],
  }),
  gemma: profile({
    supportsVision: true,
    chatTemplate: "tokenizer_default_or_gemma",
    preferredEngines: ["local_mlx", "ollama", "llamacpp"],
    topP: 0.95,
    stopSequences: ["<end_of_turn>", "</s>"],
  }),
  qwen: profile({
    chatTemplate: "qwen_chatml",
    preferredEngines: ["ollama", "local_mlx", "vllm"],
    stopSequences: ["<|im_end|>", "<|endoftext|>"],
  }),
  llama: profile({
    preferredEngines: ["ollama", "local_mlx", "llamacpp", "vllm"],
    stopSequences: ["</s>", "[INST]", "[/INST]"],
  }),
  mistral: profile({
    supportsSystem: false,
    preferredEngines: ["ollama", "local_mlx", "llamacpp"],
    stopSequences: ["</s>", "[INST]", "[/INST]"],
  }),
  phi: profile({
    preferredEngines: ["ollama", "local_mlx"],
    maxOutputTokens: 2048,
    stopSequences: ["<|end|>", "<|endoftext|>"],
  }),
  deepseek: profile({
    preferredEngines: ["ollama", "local_mlx", "vllm"],
    stopSequences: ["<|EOT|>", "</s>"],
  }),
};
