/** What is known of other servers, by the name of their engine. docs/backends.md shows it. */
import type { ConversationOption } from "./conversation-options.ts";
import type { EngineName } from "./engine-names.ts";

export interface BackendPreset {
  /** Its API: OpenAI's chat completions, or Anthropic's messages. @default "chat-completions" */
  readonly speaks?: "messages";
  /** The API's URL, up to and including the version. */
  readonly baseUrl: string;
  /** The variable that may say where its API is instead. */
  readonly baseUrlVariable?: string;
  /** The environment variable that holds the API key; undefined if none is needed. */
  readonly keyVariable: string | undefined;
  /** The request field that limits the output. */
  readonly outputLimit: "max_tokens" | "max_completion_tokens";
  /** Whether it takes `response_format` with a JSON Schema. The answer is checked either way. @default false */
  readonly jsonSchema?: true;
  /** How its server is started for one model; undefined where it serves without being started for one. */
  readonly command?: readonly [string, ...ReadonlyArray<string>];
  /**
   * Which of its models take images, where the configuration does not say it of one: most of them, those of which the server says
   * so when it is asked, or those of a family that does. Of an engine without the option `chat.images` none does. @default by the family
   */
  readonly images?: "most" | "told";
  /** A provider's server, which ends the turns of its models itself. @default false */
  readonly hosted?: true;
  /** The options of a task that the server supports beside the conversation. */
  readonly options: ReadonlyArray<ConversationOption>;
}

/** Options that every server with this API supports. */
const common: ReadonlyArray<ConversationOption> = [
  "chat.tools",
  "sampling.temperature",
  "sampling.top_p",
  "sampling.candidate_count",
  "stop.max_output_tokens",
  "stop.stop_sequences",
  "stop.time_budget",
  "constraint.json",
];
const penalties: ReadonlyArray<ConversationOption> = ["sampling.presence_penalty", "sampling.frequency_penalty"];
/** Options beyond OpenAI's API that servers of open models support. */
const extended: ReadonlyArray<ConversationOption> = [
  ...penalties,
  "sampling.seed",
  "sampling.top_k",
  "sampling.min_p",
  "sampling.repetition_penalty",
];

/**
 * Providers fetch images from the web. A server of the operator's own is not told to: a caller would choose what is fetched within
 * the operator's network.
 */
const images: ReadonlyArray<ConversationOption> = ["chat.images", "chat.image_urls"];

export const backendPresets = {
  mlx_lm_server: {
    baseUrl: "http://127.0.0.1:8080/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    command: ["mlx_lm.server", "--model", "{model}", "--host", "{host}", "--port", "{port}"],
    options: [...common, "prompt", "sampling.top_k", "sampling.min_p", "sampling.repetition_penalty"],
  },
  mlx_vlm: {
    baseUrl: "http://127.0.0.1:8080/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    command: ["mlx_vlm.server", "--model", "{model}", "--host", "{host}", "--port", "{port}"],
    options: [...common, "chat.images", "sampling.top_k", "sampling.min_p", "sampling.repetition_penalty"],
  },
  mlx_omni: {
    baseUrl: "http://127.0.0.1:10240/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    command: ["mlx-omni-server", "--host", "{host}", "--port", "{port}"],
    options: common,
  },
  exo: {
    baseUrl: "http://127.0.0.1:52415/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    options: common,
  },
  lmstudio: {
    baseUrl: "http://127.0.0.1:1234/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    jsonSchema: true,
    images: "told",
    options: [...common, "prompt", "chat.images", ...penalties, "sampling.seed", "sampling.top_k"],
  },
  ollama: {
    baseUrl: "http://127.0.0.1:11434/v1",
    baseUrlVariable: "OLLAMA_BASE_URL",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    jsonSchema: true,
    images: "told",
    // Its text completions put the prompt into the model's template.
    options: [...common, "chat.images", ...penalties, "sampling.seed", "reasoning.effort"],
  },
  vllm: {
    baseUrl: "http://127.0.0.1:8000/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    jsonSchema: true,
    command: ["vllm", "serve", "{model}", "--host", "{host}", "--port", "{port}"],
    options: [...common, "prompt", "chat.images", ...extended, "chat.tool_choice", "output.top_logprobs"],
  },
  llamacpp: {
    baseUrl: "http://127.0.0.1:8080/v1",
    keyVariable: undefined,
    outputLimit: "max_tokens",
    jsonSchema: true,
    command: ["llama-server", "--model", "{model}", "--host", "{host}", "--port", "{port}"],
    images: "told",
    options: [
      ...common,
      "prompt",
      "chat.images",
      ...penalties,
      "sampling.seed",
      "sampling.top_k",
      "sampling.min_p",
      "chat.tool_choice",
      "output.top_logprobs",
    ],
  },
  openai: {
    baseUrl: "https://api.openai.com/v1",
    keyVariable: "OPENAI_API_KEY",
    outputLimit: "max_completion_tokens",
    jsonSchema: true,
    hosted: true,
    images: "most",
    options: [
      ...common,
      ...images,
      ...penalties,
      "sampling.seed",
      "chat.tool_choice",
      "reasoning.effort",
      "output.top_logprobs",
    ],
  },
  openrouter: {
    baseUrl: "https://openrouter.ai/api/v1",
    keyVariable: "OPENROUTER_API_KEY",
    outputLimit: "max_tokens",
    hosted: true,
    images: "told",
    options: [...common, "prompt", ...images, ...penalties, "sampling.seed", "sampling.top_k", "chat.tool_choice"],
  },
  groq: {
    baseUrl: "https://api.groq.com/openai/v1",
    keyVariable: "GROQ_API_KEY",
    outputLimit: "max_completion_tokens",
    hosted: true,
    options: [...common, ...images, "sampling.seed", "chat.tool_choice", "reasoning.effort"],
  },
  together: {
    baseUrl: "https://api.together.xyz/v1",
    keyVariable: "TOGETHER_API_KEY",
    outputLimit: "max_tokens",
    hosted: true,
    options: [...common, "prompt", ...images, ...extended, "chat.tool_choice"],
  },
  anthropic: {
    speaks: "messages",
    baseUrl: "https://api.anthropic.com/v1",
    keyVariable: "ANTHROPIC_API_KEY",
    outputLimit: "max_tokens",
    hosted: true,
    images: "most",
    options: [...common, ...images, "sampling.top_k", "chat.tool_choice", "reasoning.max_tokens"],
  },
  google: {
    baseUrl: "https://generativelanguage.googleapis.com/v1beta/openai",
    keyVariable: "GOOGLE_API_KEY",
    outputLimit: "max_tokens",
    hosted: true,
    images: "most",
    options: [...common, "chat.images", "chat.tool_choice", "reasoning.effort"],
  },
} as const satisfies Partial<Record<EngineName, BackendPreset>>;

export type BackendEngine = keyof typeof backendPresets;

/** Whether its API is Anthropic's. */
export const speaksMessages = (engine: BackendEngine): boolean =>
  (backendPresets[engine] as BackendPreset).speaks === "messages";

/** Where it is asked for an answer, below the URL of its API. */
export const answerPath = (engine: BackendEngine, input: "chat" | "prompt"): string => {
  if (speaksMessages(engine)) return "messages";
  return input === "chat" ? "chat/completions" : "completions";
};

export const isBackendEngine = (engine: EngineName): engine is BackendEngine => Object.hasOwn(backendPresets, engine);
