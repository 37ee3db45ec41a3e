/** Short names of well-known models, and what each engine calls them. docs/backends.md shows them. */
import type { EngineName } from "./engine-names.ts";

type NamesByEngine = Readonly<Partial<Record<EngineName, string>>>;

/** By their short names, in lower case. An engine that is missing has no name of its own for the model. */
export const modelAliases: Readonly<Record<string, NamesByEngine>> = {
  "gpt-oss-20b": {
    local_mlx: "mlx-community/gpt-oss-20b-MXFP4-Q8",
    mlx_lm_server: "mlx-community/gpt-oss-20b-MXFP4-Q8",
    ollama: "gpt-oss:20b",
    lmstudio: "openai/gpt-oss-20b",
    vllm: "openai/gpt-oss-20b",
    openrouter: "openai/gpt-oss-20b",
    groq: "openai/gpt-oss-20b",
    together: "openai/gpt-oss-20b",
  },
  "gpt-oss-120b": {
    local_mlx: "mlx-community/gpt-oss-120b-MXFP4-Q8",
    mlx_lm_server: "mlx-community/gpt-oss-120b-MXFP4-Q8",
    ollama: "gpt-oss:120b",
    lmstudio: "openai/gpt-oss-120b",
    vllm: "openai/gpt-oss-120b",
    openrouter: "openai/gpt-oss-120b",
    groq: "openai/gpt-oss-120b",
    together: "openai/gpt-oss-120b",
  },
  "qwen3-8b": {
    local_mlx: "mlx-community/Qwen3-8B-4bit",
    mlx_lm_server: "mlx-community/Qwen3-8B-4bit",
    ollama: "qwen3:8b",
    lmstudio: "qwen/qwen3-8b",
    vllm: "Qwen/Qwen3-8B",
    openrouter: "qwen/qwen3-8b",
  },
  "gemma-3-12b": {
    local_mlx: "mlx-community/gemma-3-12b-it-4bit",
    mlx_lm_server: "mlx-community/gemma-3-12b-it-4bit",
    ollama: "gemma3:12b",
    lmstudio: "google/gemma-3-12b",
    vllm: "google/gemma-3-12b-it",
    openrouter: "google/gemma-3-12b-it",
  },
};

/** What an engine calls a model of a short name; undefined for a name that is none, or none there. Case does not matter. */
export const aliasAt = (engine: EngineName, name: string): string | undefined => {
  const short = name.trim().toLowerCase();
  return Object.hasOwn(modelAliases, short) ? modelAliases[short]?.[engine] : undefined;
};
