/** The language model of multimodal Gemma 3 checkpoints, which is in a section and under a prefix of its own. */
import { createTextModel } from "./gemma3_text.ts";
import type { CreateModel } from "./Model.ts";

export const createModel: CreateModel = (config, weights) => {
  const text = config.section("text_config");
  if (text === undefined) throw config.wrong("text_config", "an object");
  weights.drop("vision_tower.");
  weights.drop("multi_modal_projector.");
  const vocabularySize = config.count("vocab_size", text.count("vocab_size", 262_208));
  const defaults = { vocabularySize, heads: 8, kvHeads: 4 };
  return createTextModel(text, weights.under("language_model."), defaults);
};
