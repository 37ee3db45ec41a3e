/** A checkpoint's tensors, read by name with their shapes checked. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";

import { LoadError } from "./load-error.ts";
import { device, mx, type Tensor } from "./mlx.ts";
import type { ModelConfig } from "./model-config.ts";

/** x [..., in] to [..., out]. */
export type Linear = (x: Tensor) => Tensor;

export class Weights {
  private readonly tensors: Map<string, Tensor>;
  private readonly quantization: ModelConfig | undefined;

  private constructor(tensors: Map<string, Tensor>, quantization: ModelConfig | undefined) {
    this.tensors = tensors;
    this.quantization = quantization;
  }

  /** Reads headers only: a tensor's bytes come in when it is taken. Throws LoadError. */
  static open(directory: string, config: ModelConfig): Weights {
    const tensors = new Map<string, Tensor>();
    for (const file of weightFiles(directory)) {
      // MLX reads a tensor's bytes late, and takes bytes past the end of the file for zeros.
      if (!isWhole(join(directory, file))) throw new LoadError(`${file} is truncated or not a safetensors file`);
      for (const [name, tensor] of Object.entries(mx.load(join(directory, file)))) tensors.set(name, tensor);
    }
    return new Weights(tensors, config.section("quantization"));
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /**
   * Takes a tensor out: float32 on CPU, as stored on Metal; quantised ones are dequantised. It is not held here any
   * longer. Throws LoadError when it is missing or has another shape.
   */
  take(name: string, shape: ReadonlyArray<number>): Tensor {
    const stored = this.stored(name);
    const value = this.dequantized(name, stored);
    if (value.shape.length !== shape.length || value.shape.some((size, axis) => size !== shape[axis])) {
      throw new LoadError(`tensor ${name} has shape [${value.shape.join(", ")}], expected [${shape.join(", ")}]`);
    }
    return value;
  }

  /**
   * One linear layer from the named ones, their outputs side by side: fewer and larger products are what the CPU wants.
   *
   * @param names prefixes of `.weight` [out, in] and, where `bias` says so, `.bias` [out]
   */
  linear(names: ReadonlyArray<{ readonly name: string; readonly out: number }>, inputs: number, bias: boolean): Linear {
    const join_ = (parts: Tensor[]): Tensor => (parts.length === 1 ? first(parts) : mx.concatenate(parts, 0));
    const weight = join_(names.map(({ name, out }) => this.take(`${name}.weight`, [out, inputs])));
    const transposed = weight.transpose();
    mx.eval(transposed);
    if (!bias) return (x) => mx.matmul(x, transposed);
    const offset = join_(names.map(({ name, out }) => this.take(`${name}.bias`, [out])));
    mx.eval(offset);
    return (x) => mx.addmm(offset, x, transposed);
  }

  private stored(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw new LoadError(`tensor ${name} is missing`);
    this.tensors.delete(name);
    return tensor;
  }

  private dequantized(name: string, stored: Tensor): Tensor {
    const prefix = name.replace(/\.weight$/, "");
    let value = stored;
    if (this.quantization !== undefined && this.tensors.has(`${prefix}.scales`)) {
      const settings = this.quantization.section(prefix) ?? this.quantization;
      value = mx.dequantize(
        stored,
        this.stored(`${prefix}.scales`),
        this.stored(`${prefix}.biases`),
        settings.count("group_size"),
        settings.count("bits"),
      );
    }
    value = device === "cpu" ? value.astype(mx.float32) : value;
    mx.eval(value);
    return value;
  }
}

/** Whether a file is as long as its header says: 8 bytes of the header's length, the header, the tensors' bytes. */
const isWhole = (path: string): boolean => {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const head = Buffer.alloc(8);
    readSync(file, head, 0, 8, 0);
    const headerBytes = Number(head.readBigUInt64LE());
    if (headerBytes > size - 8) return false;
    const header = Buffer.alloc(headerBytes);
    readSync(file, header, 0, headerBytes, 8);
    const entries = JSON.parse(header.toString("utf8")) as Record<
      string,
      { data_offsets?: readonly [number, number] } | null
    >;
    return Object.values(entries).every((entry) => 8 + headerBytes + (entry?.data_offsets?.[1] ?? 0) <= size);
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
};

/** The shards that the index names, or every safetensors file. */
const weightFiles = (directory: string): ReadonlyArray<string> => {
  const present = new Set(readdirSync(directory).filter((file) => file.endsWith(".safetensors")));
  const index = "model.safetensors.index.json";
  const files = readdirSync(directory).includes(index)
    ? [...new Set(Object.values(weightMap(join(directory, index))))]
    : [...present].toSorted();
  if (files.length === 0) throw new LoadError("there is no safetensors file");
  for (const file of files) if (!present.has(file)) throw new LoadError(`${index} names ${file}, which is missing`);
  return files;
};

const weightMap = (path: string): Record<string, string> => {
  try {
    const { weight_map: map } = JSON.parse(readFileSync(path, "utf8")) as { weight_map?: unknown };
    if (typeof map === "object" && map !== null) return map as Record<string, string>;
  } catch {
    // told below, as a missing map is
  }
  throw new LoadError("model.safetensors.index.json has no weight_map");
};

const first = (parts: ReadonlyArray<Tensor>): Tensor => {
  const [part] = parts;
  if (part === undefined) throw new RangeError("a linear layer has at least one part");
  return part;
};
