/** The names of engines, as callers and the configuration write them. */

/** Engines on this machine and hosted providers. Each can be a prefix of a model's name, as in `ollama:qwen3:8b`. */
export const engineNames = [
  "local_mlx",
  "ollama",
  "vllm",
  "lmstudio",
  "llamacpp",
  "mlx_lm_server",
  "mlx_vlm",
  "exo",
  "mlx_omni",
  "openai",
  "anthropic",
  "openrouter",
  "groq",
  "together",
  "google",
] as const;

export type EngineName = (typeof engineNames)[number];

/** The engine of models in the local model folder, by the name of its driver. */
export const localEngine = "mlx";

/** The same engine by its canonical name. */
export const localEngineName: EngineName = "local_mlx";

/** Whether the engine runs on this machine; the others are hosted. */
export const isLocalEngine = (engine: EngineName): boolean => engineNames.indexOf(engine) < hostedFrom;
const hostedFrom = engineNames.indexOf("openai");

/** Ignores surrounding spaces and case. Undefined if it is not the name of an engine. */
export const canonicalEngine = (name: string): EngineName | undefined => {
  const plain = name.trim().toLowerCase();
  return aliases.get(plain) ?? engineNames.find((engine) => engine === plain);
};

export interface PrefixedName {
  readonly engine: EngineName;
  /** The part after the prefix; it may contain `:` itself. */
  readonly model: string;
}

/**
 * Splits at the first `:` after a known engine's name. Undefined if there is no such prefix: an unknown prefix is part
 * of the model's name.
 */
export const splitEnginePrefix = (name: string): PrefixedName | undefined => {
  const parts = name.split(":");
  // One alias contains a colon itself.
  for (const length of [2, 1]) {
    if (parts.length <= length) continue;
    const engine = canonicalEngine(parts.slice(0, length).join(":"));
    if (engine !== undefined) return { engine, model: parts.slice(length).join(":").trim() };
  }
  return undefined;
};

const aliases: ReadonlyMap<string, EngineName> = new Map([
  [localEngine, "local_mlx"],
  ["local-mlx", "local_mlx"],
  ["llama.cpp", "llamacpp"],
  ["llama-cpp", "llamacpp"],
  ["lm-studio", "lmstudio"],
  ["mlx-lm-server", "mlx_lm_server"],
  ["mlx_lm", "mlx_lm_server"],
  ["mlx-lm", "mlx_lm_server"],
  ["mlx-vlm", "mlx_vlm"],
  ["mlx-omni", "mlx_omni"],
  ["mlx-omni-server", "mlx_omni"],
  ["gemini", "google"],
  ["lmstudio:openai-compatible", "lmstudio"],
]);
