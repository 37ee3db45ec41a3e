/** Loads a checkpoint folder into a model. */
import { architectureFor } from "./architectures/index.ts";
import type { Model, Network } from "./architectures/Model.ts";
import { LoadError } from "./files/load-error.ts";
import { collect } from "./mlx.ts";
import { ModelConfig } from "./files/model-config.ts";
import { readSmallFile } from "./files/regular-file.ts";
import { Weights, type WeightsForm } from "./weights/weights.ts";

export type { WeightsForm } from "./weights/weights.ts";

/**
 * Throws LoadError if anything is wrong with the folder.
 *
 * @param form of its weights; @default `stored` on Metal, `float32` on a CPU
 */
export const loadCheckpoint = async (directory: string, form?: WeightsForm): Promise<Model> => {
  const config = ModelConfig.parse(readConfig(directory));
  const createModel = architectureFor(config);
  const weights = Weights.open(directory, config, form);
  const network = await createModel(config, weights);
  weights.assertAllTaken();
  await collect();
  const cacheShape = { ...network.cacheShape, type: weights.activations };
  const forward: Model["forward"] = (tokens, cache) => network.forwardEmbedded(network.embed(tokens), cache);
  return { ...network, forward, cacheShape, adapters: weights.adapters, attentionHeads: headsOf(config, network) };
};

/**
 * If config.json leaves the number of heads to the architecture: an upper bound, more query heads per key head than any
 * architecture has.
 */
const headsOf = (config: ModelConfig, { cacheShape }: Network): number =>
  config.has("num_attention_heads") ? config.count("num_attention_heads") : 16 * cacheShape.kvHeads;

const readConfig = (directory: string): string => {
  const text = readSmallFile(directory, "config.json");
  if (text === undefined) throw new LoadError("config.json is missing");
  return text;
};
