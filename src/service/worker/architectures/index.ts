/** The architectures, by `model_type` of config.json. One more is one file and one line. */
import { LoadError } from "../load-error.ts";
import type { ModelConfig } from "../model-config.ts";
import type { CreateModel } from "./Model.ts";
import { createModel as llama } from "./llama.ts";
import { createModel as qwen2 } from "./qwen2.ts";

const architectures: ReadonlyMap<string, CreateModel> = new Map([
  ["llama", llama],
  ["mistral", llama],
  ["qwen2", qwen2],
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
