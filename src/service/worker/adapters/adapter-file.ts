/**
 * Reads an adapter folder in mlx-lm's format, adapter_config.json and adapters.safetensors, and checks it against the
 * model.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

import type { Adapters, LowRank, ReadPart } from "./adapters.ts";
import { assertFinite } from "../files/assert-finite.ts";
import { LoadError } from "../files/load-error.ts";
import { mx, type Tensor } from "../mlx.ts";
import { ModelConfig } from "../files/model-config.ts";
import { readSmallFile } from "../files/regular-file.ts";
import { checkFile } from "../files/safetensors.ts";

const configFile = "adapter_config.json";
const weightsFile = "adapters.safetensors";

/**
 * Reads headers only: a tensor's bytes are read when its part is read, once. Throws LoadError, which names the file,
 * key or tensor, if the folder is not a LoRA adapter of this model; reading a part throws it for values that are not
 * finite.
 */
export const openAdapter = (directory: string, parts: Adapters["parts"]): ReadPart => {
  const config = ModelConfig.parse(readConfig(directory), configFile);
  const { rank, scale, isAdapted } = readSettings(config, parts);
  if (!existsSync(join(directory, weightsFile))) throw new LoadError(`${weightsFile} is missing`);
  checkFile(directory, weightsFile);
  const tensors = new Map(Object.entries(mx.load(join(directory, weightsFile))));
  // Kept, because parts are read over several steps.
  for (const tensor of tensors.values()) tensor.keep();
  checkNames(tensors.keys(), parts, isAdapted);
  for (const [name, { inputs, out }] of parts) {
    if (!isAdapted(name)) continue;
    checkShape(tensors, `${name}.lora_a`, [inputs, rank]);
    checkShape(tensors, `${name}.lora_b`, [rank, out]);
  }
  const take = (name: string): Tensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new RangeError(`tensor ${name} was read before`);
    tensors.delete(name);
    assertFinite(name, tensor);
    const taken = tensor.astype(mx.float32);
    tensor.dispose();
    return taken;
  };
  return (name): LowRank | undefined =>
    isAdapted(name)
      ? { a: take(`${name}.lora_a`), b: mx.multiply(take(`${name}.lora_b`), mx.array(scale, mx.float32)) }
      : undefined;
};

const readConfig = (directory: string): string => {
  const text = readSmallFile(directory, configFile);
  if (text === undefined) throw new LoadError(`${configFile} is missing`);
  return text;
};

interface Settings {
  readonly rank: number;
  readonly scale: number;
  readonly isAdapted: (name: string) => boolean;
}

const readSettings = (config: ModelConfig, parts: Adapters["parts"]): Settings => {
  const type = config.string("fine_tune_type", "lora");
  if (type !== "lora") {
    throw new LoadError(`${configFile}: fine_tune_type "${type}" is not supported; known: lora`);
  }
  const parameters = config.section("lora_parameters");
  if (parameters === undefined) throw config.wrong("lora_parameters", "an object");
  const layers = 1 + Math.max(-1, ...[...parts.keys()].map((name) => placeOf(name)?.layer ?? -1));
  // 0, -1 and any number beyond the model's mean all layers.
  const adapted = config.number("num_layers");
  if (!Number.isInteger(adapted)) throw config.wrong("num_layers", "a whole number");
  const first = adapted <= 0 ? 0 : layers - adapted;
  const keys = parameters.has("keys") ? new Set(parameters.strings("keys")) : undefined;
  checkKeys(keys ?? new Set(), parts);
  return {
    rank: parameters.count("rank"),
    scale: parameters.number("scale"),
    isAdapted: (name) => {
      if (keys?.has(name) === true) return true;
      const place = placeOf(name);
      return place !== undefined && place.layer >= first && (keys === undefined || keys.has(place.key));
    },
  };
};

/** `self_attn.q_proj` and its layer, for `model.layers.3.self_attn.q_proj`. */
const placeOf = (name: string): { readonly layer: number; readonly key: string } | undefined => {
  const [, layer, key] = /\blayers\.(\d+)\.(.+)$/.exec(name) ?? [];
  return layer === undefined || key === undefined ? undefined : { layer: Number(layer), key };
};

const checkKeys = (keys: ReadonlySet<string>, parts: Adapters["parts"]): void => {
  const known = new Set([...parts.keys()].flatMap((name) => placeOf(name)?.key ?? name));
  for (const key of keys) {
    if (known.has(key) || parts.has(key)) continue;
    throw new LoadError(
      `${configFile}: lora_parameters.keys has "${key.slice(0, 80)}", which no adapter can be applied to in this ` +
        `model; known: ${[...known].join(", ")}`,
    );
  }
};

const checkNames = (names: Iterable<string>, parts: Adapters["parts"], isAdapted: Settings["isAdapted"]): void => {
  for (const name of [...names].toSorted()) {
    const [, part] = /^(.+)\.lora_[ab]$/.exec(name) ?? [];
    if (part === undefined) throw new LoadError(`tensor ${name} has no place in a LoRA adapter`);
    if (!parts.has(part)) throw new LoadError(`tensor ${name}: no adapter can be applied to ${part} in this model`);
    if (!isAdapted(part)) {
      throw new LoadError(`tensor ${name} is of a layer that num_layers and lora_parameters.keys leave out`);
    }
  }
};

const checkShape = (tensors: ReadonlyMap<string, Tensor>, name: string, shape: ReadonlyArray<number>): void => {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new LoadError(`tensor ${name} is missing`);
  if (tensor.shape.join() === shape.join()) return;
  throw new LoadError(`tensor ${name} has shape [${tensor.shape.join(", ")}], expected [${shape.join(", ")}]`);
};
