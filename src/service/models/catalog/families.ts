/** How to recognise families of models, and the settings that suit them. */
import { splitEnginePrefix } from "../../domain/engine-names.ts";
import type { Family, FamilyProfile } from "../../domain/family.ts";

/** Detects the family from a name. Ignores case and the prefix of a known engine. */
export const detectFamily = (name: string): Family => {
  const plain = (splitEnginePrefix(name)?.model ?? name).toLowerCase();
  return patterns.find(([, pattern]) => pattern.test(plain))?.[0] ?? "unknown";
};

/** @param names most telling first: a model's name says more than its `model_type`, as families share architectures */
export const detectFamilyOf = (names: ReadonlyArray<string>): Family =>
  names.map(detectFamily).find((family) => family !== "unknown") ?? "unknown";

/** Families without a profile of their own use that of `unknown`. Frozen, including all its lists. */
export const familyProfile = (family: Family): FamilyProfile => profiles[family] ?? unknownProfile;

/** The built-in profile with the configuration's overrides. Frozen, too. */
export const overriddenProfile = (family: Family, overrides: Partial<FamilyProfile> | undefined): FamilyProfile =>
  overrides === undefined ? familyProfile(family) : profile({ ...familyProfile(family), ...overrides });

/** The first match counts: a DeepSeek distillation of Qwen is a qwen. */
const patterns: ReadonlyArray<readonly [Family, RegExp]> = [
  ["gpt-oss", /gpt[-_]?oss/],
  ["gemma", /gemma/],
  ["qwen", /qwen/],
  ["llama", /\bllama|meta[-_]?llama/],
  ["mistral", /mistral|mixtral/],
  ["phi", /\bphi[-_]?\d/],
  ["deepseek", /deepseek/],
  ["yi", /\byi[-_]?\d/],
  ["claude", /claude/],
  ["gpt-4", /gpt[-_]?4/],
  ["gpt-3.5", /gpt[-_]?3\.?5/],
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
    // The trim has to come first, as it needs the marker that the other step removes.
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
