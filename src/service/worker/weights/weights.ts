/** A checkpoint's tensors, read by name with their shapes checked. */
import { join } from "node:path";

import { Adapters, type AddAdapters, type AdaptedPart } from "../adapters/adapters.ts";
import { dequantize, dequantizeBlocks, hasKernels } from "./dequantize.ts";
import { assertFinite } from "../files/assert-finite.ts";
import { isOutOfMemory, LoadError, MemoryError } from "../files/load-error.ts";
import { collect, device, loading, type Dtype, mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { type Quantization, type QuantizationOf, readQuantization } from "./quantization.ts";
import { checkFile, weightFiles } from "../files/safetensors.ts";

/** A weight matrix, or a stack of matrices: [..., out, in]. */
export type Matrix = PlainMatrix | QuantizedMatrix;

interface PlainMatrix {
  readonly quantization: undefined;
  readonly weight: Tensor;
}

/**
 * `weight` is packed: 32 bits hold several numbers along `in`. Scales and biases are [..., out, in / groupSize]; except
 * in the affine mode, scales are bytes.
 */
interface QuantizedMatrix {
  readonly quantization: Quantization;
  readonly weight: Tensor;
  readonly scales: Tensor;
  /** Only in the affine mode. */
  readonly biases: Tensor | undefined;
}

/**
 * The form of a model's weights in memory, and the type that it computes in. `stored`: as they are in the checkpoint,
 * quantised or not. `bfloat16`: the same, with every number of 32 or 16 bits as a bfloat16. `float32`: all of them, also
 * quantised ones, because a CPU multiplies no other type fast.
 */
export type WeightsForm = "stored" | "bfloat16" | "float32";

export class Weights {
  /** The adapters of the model that is built from these weights. */
  readonly adapters: Adapters;
  /** The type of the computation: that of the form, and of the embeddings if weights stay as stored. */
  readonly activations: Dtype;
  private readonly tensors: Map<string, Tensor>;
  private readonly quantizationOf: QuantizationOf;
  private readonly form: WeightsForm;
  private readonly prefix: string;

  private constructor(
    tensors: Map<string, Tensor>,
    quantizationOf: QuantizationOf,
    form: WeightsForm,
    prefix: string,
    adapters: Adapters,
    activations: Dtype,
  ) {
    this.activations = activations;
    this.adapters = adapters;
    this.tensors = tensors;
    this.quantizationOf = quantizationOf;
    this.form = form;
    this.prefix = prefix;
  }

  /** Reads headers only: a tensor's bytes are read when it is taken. Throws LoadError. */
  static open(
    directory: string,
    config: ModelConfig,
    form: WeightsForm = device === "metal" ? "stored" : "float32",
  ): Weights {
    const quantizationOf = readQuantization(config);
    const tensors = new Map<string, Tensor>();
    for (const file of weightFiles(directory)) {
      checkFile(directory, file);
      for (const [name, tensor] of Object.entries(load(directory, file))) tensors.set(name, tensor);
    }
    if (tensors.has("embed_tokens.weight")) addPrefix(tensors);
    const activations = form === "stored" ? embeddingType(tensors) : mx[form];
    return new Weights(tensors, quantizationOf, form, "", new Adapters(activations), activations);
  }

  /** The tensors whose names begin with the prefix, named without it. */
  under(prefix: string): Weights {
    const { tensors, quantizationOf, form, adapters, activations } = this;
    return new Weights(tensors, quantizationOf, form, `${this.prefix}${prefix}`, adapters, activations);
  }

  has(name: string): boolean {
    return this.tensors.has(`${this.prefix}${name}`);
  }

  /**
   * Removes a tensor from here and returns it. Like all of these methods, throws LoadError if it is missing or has
   * another shape.
   */
  take(name: string, shape: ReadonlyArray<number>): Tensor {
    return this.evaluated(name, this.stored(name, shape));
  }

  /** Takes `path.weight`, with the scales and biases of a quantised one. */
  matrix(path: string, shape: ReadonlyArray<number>): Matrix {
    const quantization = this.quantizationIn(path, shape);
    if (quantization === undefined) return { quantization, weight: this.take(`${path}.weight`, shape) };
    const { mode, groupSize, bits } = quantization;
    const inputs = shape.at(-1) ?? 0;
    const rows = shape.slice(0, -1);
    const weight = this.stored(`${path}.weight`, [...rows, (inputs * bits) / 32]);
    if (weight.dtype !== mx.uint32) {
      throw new LoadError(`tensor ${this.prefix}${path}.weight is quantised and has to be stored as U32`);
    }
    const scales = this.formed(this.stored(`${path}.scales`, [...rows, inputs / groupSize]));
    const biases =
      mode === "affine" ? this.formed(this.stored(`${path}.biases`, [...rows, inputs / groupSize])) : undefined;
    if (this.form !== "float32" && hasKernels(quantization)) {
      mx.eval(weight, scales, ...(biases === undefined ? [] : [biases]));
      if (biases !== undefined) {
        assertFinite(`${this.prefix}${path}.scales`, scales);
        assertFinite(`${this.prefix}${path}.biases`, biases);
      }
      return { quantization, weight, scales, biases };
    }
    // A 16-bit type if weights stay as stored: that of the activations.
    const type = this.form === "stored" ? (biases?.dtype ?? mx.bfloat16) : mx[this.form];
    const value = dequantize({ weight, scales, biases, quantization }, type);
    return { quantization: undefined, weight: this.evaluated(`${path}.weight`, value) };
  }

  /** The same for gpt-oss's own form of mxfp4: `path_blocks` and `path_scales`. */
  blocks(path: string, shape: readonly [stack: number, out: number, inputs: number]): Matrix {
    const [stack, out, inputs] = shape;
    const quantization = { mode: "mxfp4", groupSize: 32, bits: 4 } as const;
    const blocks = this.stored(`${path}_blocks`, [stack, out, inputs / 32, 16]);
    const scales = this.stored(`${path}_scales`, [stack, out, inputs / 32]);
    if (this.form !== "float32" && hasKernels(quantization)) {
      // Two numbers per byte, the first in the low bits, which is also MLX's order within words.
      const weight = mx.view(blocks, mx.uint32).reshape(stack, out, inputs / 8);
      mx.eval(weight, scales);
      return { quantization, weight, scales, biases: undefined };
    }
    const value = dequantizeBlocks(blocks, scales, this.form === "float32" ? mx.float32 : mx.bfloat16);
    return { quantization: undefined, weight: this.evaluated(`${path}_blocks`, value) };
  }

  private quantizationIn(path: string, shape: ReadonlyArray<number>): Quantization | undefined {
    const weight = this.tensors.get(`${this.prefix}${path}.weight`);
    const scales = this.tensors.get(`${this.prefix}${path}.scales`);
    if (weight === undefined || scales === undefined) return undefined;
    return this.quantizationOf(`${this.prefix}${path}`, {
      inputs: shape.at(-1) ?? 0,
      words: weight.shape.at(-1) ?? 0,
      scales: scales.shape.at(-1) ?? 0,
      hasByteScales: scales.dtype === mx.uint8,
    });
  }

  /** Adds adapters to a linear layer; its parts are named like their tensors. */
  adapt(parts: ReadonlyArray<AdaptedPart>, inputs: number): AddAdapters {
    return this.adapters.adapt(
      parts.map(({ name, out }) => ({ name: `${this.prefix}${name}`, out })),
      inputs,
    );
  }

  /** Drops tensors with this prefix, which the model does not use. */
  drop(prefix: string): void {
    for (const name of this.tensors.keys()) {
      if (name.startsWith(`${this.prefix}${prefix}`)) this.tensors.delete(name);
    }
  }

  /** Throws LoadError if a tensor is left: a model that ignores one would compute something else. */
  assertAllTaken(): void {
    for (const name of this.tensors.keys()) {
      if (derived.test(name)) continue;
      throw new LoadError(
        `tensor ${name} has no place in a model of this configuration (${this.tensors.size} are left)`,
      );
    }
  }

  private stored(name: string, shape: ReadonlyArray<number>): Tensor {
    const full = `${this.prefix}${name}`;
    const tensor = this.tensors.get(full);
    if (tensor === undefined) throw new LoadError(`tensor ${full} is missing`);
    this.tensors.delete(full);
    if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
      throw new LoadError(`tensor ${full} has shape [${tensor.shape.join(", ")}], expected [${shape.join(", ")}]`);
    }
    return tensor;
  }

  /** Numbers in the type of the form. Packed ones and scales that are bytes stay as they are. */
  private formed(tensor: Tensor): Tensor {
    const { form } = this;
    return form === "stored" || !floats().includes(tensor.dtype) ? tensor : tensor.astype(mx[form]);
  }

  private evaluated(name: string, tensor: Tensor): Tensor {
    const value = this.formed(tensor);
    mx.eval(value);
    assertFinite(`${this.prefix}${name}`, value);
    return value;
  }
}

/** For a quantised table, the type of its scales; models whose scales are bytes use bfloat16. */
const embeddingType = (tensors: ReadonlyMap<string, Tensor>): Dtype => {
  const types = [...tensors].filter(([name]) => /(^|\.)embed_tokens\.(weight|scales)$/.test(name));
  return types.map(([, { dtype }]) => dtype).find((type) => floats().includes(type)) ?? mx.bfloat16;
};

const floats = (): ReadonlyArray<Dtype> => [mx.float32, mx.float16, mx.bfloat16];

/** Checkpoints of embedding models lack the prefix, as they were saved without an output layer. */
const addPrefix = (tensors: Map<string, Tensor>): void => {
  for (const name of tensors.keys().toArray()) {
    const tensor = tensors.get(name);
    if (tensor !== undefined) tensors.set(`model.${name}`, tensor);
    tensors.delete(name);
  }
};

const load = (directory: string, file: string): Record<string, Tensor> => {
  try {
    return mx.load(join(directory, file));
  } catch (cause) {
    if (isOutOfMemory(cause)) throw new MemoryError(`while reading ${file}: ${(cause as Error).message}`);
    // MLX's message contains the path.
    throw new LoadError(`${file} is not a safetensors file that MLX can read`);
  }
};

/** Tensors in old checkpoints that are not weights: frequencies that follow from config.json. */
const derived = /\.rotary_emb\.inv_freq$/;

/**
 * Builds a model's layers one after another. What reading and joining a layer's tensors leaves behind is freed before
 * the next one, so that loading needs little more memory than the model.
 */
export const eachLayer = async <Layer>(count: number, create: (layer: number) => Layer): Promise<Layer[]> => {
  const layers: Layer[] = [];
  for (let layer = 0; layer < count; layer++) {
    layers.push(create(layer));
    await collect();
    await loading.pause();
  }
  return layers;
};
