/** The architectures by `model_type` in config.json. Adding one takes a file and a line here. */
import { LoadError } from "../files/load-error.ts";
import type { ModelConfig } from "../files/model-config.ts";
import type { CreateModel } from "./Model.ts";
import { createModel as gemma2 } from "./gemma2.ts";
import { createModel as gemma3 } from "./gemma3.ts";
import { createModel as gemma3Text } from "./gemma3_text.ts";
import { createModel as gptOss } from "./gpt_oss.ts";
import { createModel as llama } from "./llama.ts";
import { createModel as phi3 } from "./phi3.ts";
import { createModel as qwen2 } from "./qwen2.ts";
import { createModel as qwen3 } from "./qwen3.ts";
import { createModel as qwen3Moe } from "./qwen3_moe.ts";

const architectures: ReadonlyMap<string, CreateModel> = new Map([
  ["llama", llama],
  ["mistral", llama],
  ["qwen2", qwen2],
  ["qwen3", qwen3],
  ["qwen3_moe", qwen3Moe],
  ["gemma2", gemma2],
  ["gemma3", gemma3],
  ["gemma3_text", gemma3Text],
  ["phi3", phi3],
  ["gpt_oss", gptOss],
]);

export const architectureFor = (config: ModelConfig): CreateModel => {
  const type = config.string("model_type");
  const create = architectures.get(type);
  if (create === undefined) {
    throw new LoadError(
      `config.json: model_type "${type}" is not supported; known: ${[...architectures.keys()].join(", ")}`,
    );
  }
  return create;
};
