import { assert, describe, it } from "@effect/vitest";

import {
  detectFamily,
  detectFamilyOf,
  familyProfile,
  overriddenProfile,
} from "../../../../src/service/models/catalog/families.ts";

describe("detectFamily", () => {
  it.each([
    ["gpt-oss-20b", "gpt-oss"],
    ["openai/gpt_oss_120b", "gpt-oss"],
    ["GPTOSS", "gpt-oss"],
    ["google/gemma-3-4b-it", "gemma"],
    ["Qwen3-8B-4bit", "qwen"],
    ["Llama-3.2-1B", "llama"],
    ["meta-llama/Meta-Llama-3-8B", "llama"],
    ["my_meta_llama", "llama"],
    ["metallama-3", "llama"],
    ["Mistral-7B-Instruct-v0.3", "mistral"],
    ["Mixtral-8x7B", "mistral"],
    ["Phi-4-mini", "phi"],
    ["microsoft/phi3", "phi"],
    ["DeepSeek-V3", "deepseek"],
    ["01-ai/Yi-34B", "yi"],
    ["claude-3-opus", "claude"],
    ["gpt-4o", "gpt-4"],
    ["gpt4-turbo", "gpt-4"],
    ["azure_gpt_4_turbo", "gpt-4"],
    ["gpt-3.5-turbo", "gpt-3.5"],
    ["gpt35", "gpt-3.5"],
    ["gpt_3.5_turbo", "gpt-3.5"],
    ["gpt_35", "gpt-3.5"],
    ["o1-mini", "o1"],
  ])("knows %s as %s", (id, family) => {
    assert.equal(detectFamily(id), family);
  });

  it.each([
    ["DeepSeek-R1-Distill-Qwen-7B", "qwen"],
    ["DeepSeek-R1-Distill-Llama-8B", "llama"],
    ["gemma-tuned-by-qwen", "gemma"],
    ["dolphin-mistral-7b", "mistral"],
  ])("takes the first pattern that fits: %s is %s", (id, family) => {
    assert.equal(detectFamily(id), family);
  });

  it.each([
    "",
    "demo",
    "ollama-special",
    "tinyllama",
    "dolphin-2",
    "graphite",
    "phi",
    "yi-coder",
    "turbo1",
    "someone:else",
  ])("does not know %o", (id) => {
    assert.equal(detectFamily(id), "unknown");
  });

  it("drops a known provider's prefix, and no other", () => {
    assert.equal(detectFamily("ollama:qwen3:8b"), "qwen");
    assert.equal(detectFamily("OpenAI:gpt-4o"), "gpt-4");
    assert.equal(detectFamily("mlx:phi-3"), "phi");
    assert.equal(detectFamily("qwen3:8b"), "qwen");
    assert.equal(detectFamily("openai:whatever"), "unknown");
    assert.equal(detectFamily("anthropic:o1"), "o1");
  });
});

describe("detectFamilyOf", () => {
  it("takes the first name that tells", () => {
    assert.equal(detectFamilyOf(["mine", "org/Mistral-7B", "qwen2"]), "mistral");
    assert.equal(detectFamilyOf(["mine", "", "gemma3_text"]), "gemma");
    assert.equal(detectFamilyOf(["mine", "", "gpt_oss"]), "gpt-oss");
    assert.equal(detectFamilyOf(["Yi-6B", "", "llama"]), "yi");
    assert.equal(detectFamilyOf([]), "unknown");
  });
});

describe("overriddenProfile", () => {
  it("is the table's with what is said instead, and leaves the table alone", () => {
    const before = { ...familyProfile("qwen") };
    const profile = overriddenProfile("qwen", { temperature: 1, stopSequences: [] });
    assert.deepEqual(profile, { ...before, temperature: 1, stopSequences: [] });
    assert.deepEqual(familyProfile("qwen"), before);
    assert.strictEqual(overriddenProfile("qwen", undefined), familyProfile("qwen"));
    assert.throws(() => (profile.stopSequences as string[]).push("x"));
  });
});

describe("familyProfile", () => {
  const row = (name: Parameters<typeof familyProfile>[0]) => {
    const { supportsSystem, supportsVision, chatTemplate, preferredEngines, temperature, topP, ...rest } =
      familyProfile(name);
    return [
      supportsSystem,
      supportsVision,
      chatTemplate,
      preferredEngines.join(" "),
      temperature,
      topP,
      rest.maxOutputTokens,
      rest.stopSequences.join(" "),
    ];
  };

  it.each([
    [
      "gpt-oss",
      true,
      false,
      "gpt_oss",
      "ollama llamacpp vllm local_mlx",
      0.1,
      0.9,
      2048,
      "<|im_end|> <|end|> </s> <|user|> <|assistant|>",
    ],
    [
      "gemma",
      true,
      true,
      "tokenizer_default_or_gemma",
      "local_mlx ollama llamacpp",
      0.2,
      0.95,
      4096,
      "<end_of_turn> </s>",
    ],
    ["qwen", true, false, "qwen_chatml", "ollama local_mlx vllm", 0.2, 0.9, 4096, "<|im_end|> <|endoftext|>"],
    [
      "llama",
      true,
      false,
      "tokenizer_default",
      "ollama local_mlx llamacpp vllm",
      0.2,
      0.9,
      4096,
      "</s> [INST] [/INST]",
    ],
    ["mistral", false, false, "tokenizer_default", "ollama local_mlx llamacpp", 0.2, 0.9, 4096, "</s> [INST] [/INST]"],
    ["phi", true, false, "tokenizer_default", "ollama local_mlx", 0.2, 0.9, 2048, "<|end|> <|endoftext|>"],
    ["deepseek", true, false, "tokenizer_default", "ollama local_mlx vllm", 0.2, 0.9, 4096, "<|EOT|> </s>"],
    [
      "unknown",
      true,
      false,
      "tokenizer_default",
      "",
      0.2,
      0.9,
      2048,
      "<|im_end|> <|endoftext|> </s> <|user|> <|assistant|>",
    ],
  ] as const)("is the table's for %s", (family, ...expected) => {
    assert.deepEqual(row(family), expected);
  });

  it("forbids drafts and trims only for gpt-oss", () => {
    const { allowsDraft, postprocess } = familyProfile("gpt-oss");
    assert.isFalse(allowsDraft);
    assert.deepEqual(postprocess, ["trim_after_user_marker", "strip_role_tokens"]);
    for (const family of ["gemma", "qwen", "llama", "mistral", "phi", "deepseek", "unknown"] as const) {
      assert.isTrue(familyProfile(family).allowsDraft);
      assert.deepEqual(familyProfile(family).postprocess, ["strip_role_tokens"]);
    }
  });

  it("is the unknown family's where a family has none", () => {
    for (const family of ["yi", "claude", "gpt-4", "gpt-3.5", "o1"] as const) {
      assert.equal(familyProfile(family), familyProfile("unknown"));
    }
  });

  it("cannot be changed by who gets it", () => {
    const profile = familyProfile("qwen") as unknown as { temperature: number; stopSequences: string[] };
    assert.throws(() => (profile.temperature = 2));
    assert.throws(() => profile.stopSequences.push("x"));
  });
});
