/** What engines are called, by callers and in the configuration. */

/** Engines of this machine and hosted providers; each is a prefix that a model's name may have, as in `ollama:qwen3:8b`. */
export const engineNames = [
  "local_mlx",
  "ollama",
  "vllm",
  "lmstudio",
  "llamacpp",
  "mlx_lm_server",
  "openai",
  "anthropic",
  "openrouter",
  "groq",
  "together",
] as const;

export type EngineName = (typeof engineNames)[number];

/** The engine of the models in this machine's folder, as its driver is called. */
export const localEngine = "mlx";

/** The same by its canonical name. */
export const localEngineName: EngineName = "local_mlx";

/** Whether it runs on this machine; the others are hosted. */
export const isLocalEngine = (engine: EngineName): boolean => engineNames.indexOf(engine) < hostedFrom;
const hostedFrom = engineNames.indexOf("openai");

/** Spaces around it and case do not matter. Undefined for a name that is no engine's. */
export const canonicalEngine = (name: string): EngineName | undefined => {
  const plain = name.trim().toLowerCase();
  return aliases.get(plain) ?? engineNames.find((engine) => engine === plain);
};

export interface PrefixedName {
  readonly engine: EngineName;
  /** What follows the prefix; may hold `:` itself. */
  readonly model: string;
}

/** Splits at the first `:` behind a known engine. Undefined without such a prefix: an unknown one is part of the name. */
export const splitEnginePrefix = (name: string): PrefixedName | undefined => {
  const parts = name.split(":");
  // One alias holds a colon itself.
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
  ["lmstudio:openai-compatible", "lmstudio"],
]);
