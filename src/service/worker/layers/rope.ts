/**
 * Rotary position embedding with true positions for every row.
 *
 * The project's own binding has a kernel for it, with an offset for each row and arbitrary frequencies. node-mlx
 * supports one offset for the whole batch and no frequencies; there, and for tokens with explicit positions, cosines
 * and sines are computed once per step and shared by all layers. The layout is the "half" layout of Hugging Face
 * checkpoints: element i is rotated with i + dims/2, unless `rope_traditional` asks for pairs.
 *
 * config.json is interpreted as in mlx-lm, whose results are the reference.
 */
import { floatExp } from "./float-exp.ts";
import { LoadError } from "../files/load-error.ts";
import { device, mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { llama3, longRope, type ScaledRope, yarn } from "./rope-scaling.ts";

export interface Rope {
  /** Radians per position, float32 [dims / 2]. */
  readonly frequencies: Tensor;
  /** Positions per radian, which is what a GPU kernel takes. */
  readonly periods: Tensor;
  /** Factor for positions. */
  readonly positionScale: number;
  /** Factor for rotated elements, which sharpens attention when positions are scaled. */
  readonly scale: number;
  /** Whether element 2i is rotated with element 2i + 1, as in the original RoPE. */
  readonly inPairs: boolean;
  /**
   * For tokens with several positions, such as a place in an image: how many frequencies use the first position, the
   * second, and so on; the sum is dims / 2. Undefined: the first position is used for all.
   */
  readonly sections?: ReadonlyArray<number>;
}

/** The places of a pass's tokens in their sequences, from its context (cache/step-context.ts). */
interface TokenPlaces {
  /** Place of each row's first token, int32 [rows]. */
  readonly offsets: Tensor;
  /** Place of every token, float32 [rows, tokens]. */
  readonly positions: () => Tensor;
}

/** How the tokens of a pass are rotated. */
export type Rotation = ByOffset | ByTable;

interface ByOffset {
  readonly rope: Rope;
  readonly offsets: Tensor;
}

/** Both [rows, tokens, 1, dims]; the sines include the sign of the rotation. */
interface ByTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** The element that each one is rotated with, int32 [dims]; undefined for the corresponding one of the other half. */
  readonly partners: Tensor | undefined;
}

/**
 * Reads `rope_theta` and `rope_scaling`, or `rope_parameters`, which newer configs have for both. Throws LoadError.
 *
 * @param dims how many elements of a head are rotated, from the first on
 * @param defaultTheta for a config without the key; without a default the key is required
 * @param originalLength the length that longrope scales, whatever the scaling says
 */
export const readRope = (config: ModelConfig, dims: number, defaultTheta?: number, originalLength?: number): Rope => {
  if (dims % 2 !== 0) throw new LoadError(`config.json: rotary embedding needs an even head size, not ${dims}`);
  const parameters = config.section("rope_parameters");
  const theta = config.positive("rope_theta", parameters?.positive("rope_theta", defaultTheta) ?? defaultTheta);
  const inPairs = config.boolean("rope_traditional", false);
  const scaling = config.section("rope_scaling") ?? parameters;
  if (scaling === undefined) return plainRope(theta, dims, inPairs);
  const type = scaling.string("type", scaling.string("rope_type", "default"));
  switch (type) {
    case "default":
      return plainRope(theta, dims, inPairs);
    case "mrope": // of text alone its three positions are one
      return scaling.has("mrope_section")
        ? { ...plainRope(theta, dims, inPairs), sections: scaling.numbers("mrope_section") }
        : plainRope(theta, dims, inPairs);
    case "linear":
      return { ...plainRope(theta, dims, inPairs), positionScale: 1 / scaling.positive("factor") };
    case "llama3":
      return toRope(llama3(scaling, periodsOf(theta, dims)), inPairs);
    case "yarn":
      return toRope(yarn(scaling, periodsOf(theta, dims), theta), inPairs);
    case "longrope":
    case "su":
      return toRope(longRope(config, scaling, periodsOf(theta, dims), originalLength), false);
    default:
      throw scaling.wrong(scaling.has("type") ? "type" : "rope_type", `one of ${known.join(", ")}`);
  }
};

/** Without scaling. */
export const plainRope = (theta: number, dims: number, inPairs = false): Rope => {
  const half = dims / 2;
  const step = Math.fround(-Math.log(theta) / half);
  const frequencies = Array.from({ length: half }, (_, i) => floatExp(Math.fround(i * step)));
  return { ...bothWays(mx.array(frequencies, mx.float32)), positionScale: 1, scale: 1, inPairs };
};

const known = ["default", "linear", "llama3", "yarn", "longrope", "su", "mrope"];

/** Positions per radian, in 32 bits as in mlx-lm. */
const periodsOf = (theta: number, dims: number): ReadonlyArray<number> =>
  Array.from({ length: dims / 2 }, (_, i) => Math.fround(theta ** Math.fround((2 * i) / dims)));

const toRope = ({ periods, scale = 1 }: ScaledRope, inPairs: boolean): Rope => ({
  ...bothWays(mx.divide(1, mx.array([...periods], mx.float32))),
  positionScale: 1,
  scale,
  inPairs,
});

const bothWays = (frequencies: Tensor): Pick<Rope, "frequencies" | "periods"> => {
  const periods = mx.divide(1, frequencies);
  mx.eval(frequencies, periods);
  return { frequencies, periods };
};

/** @param at the places of the tokens, or explicit positions: float32 [rows, tokens] or [positions, rows, tokens] */
export const rotationAt = (at: TokenPlaces | Tensor, rope: Rope): Rotation => {
  if ("shape" in at) return tableOf(at, rope);
  return mx.binding === "own" ? { rope, offsets: at.offsets } : tableOf(at.positions(), rope);
};

const tableOf = (positions: Tensor, rope: Rope): ByTable => {
  const { frequencies, positionScale, scale, inPairs } = rope;
  const angles = mx.multiply(scaled(positionsOfEach(positions, rope), positionScale), frequencies);
  const cos = scaled(mx.cos(angles), scale);
  const sin = scaled(mx.sin(angles), scale);
  const halves = {
    cos: mx.concatenate([cos, cos], -1),
    sin: mx.concatenate([mx.multiply(sin, -1), sin], -1),
    partners: undefined,
  };
  if (!inPairs) return halves;
  const turns = frequencies.size;
  const places = Array.from({ length: 2 * turns }, (_, i) => Math.floor(i / 2) + (i % 2) * turns);
  const order = mx.array(places, mx.int32);
  const partners = places.map((_, i) => (i % 2 === 0 ? i + 1 : i - 1));
  return {
    cos: mx.take(halves.cos, order, -1),
    sin: mx.take(halves.sin, order, -1),
    partners: mx.array(partners, mx.int32),
  };
};

/** The position that each frequency uses, [rows, tokens, 1, dims / 2, or 1 for all]. */
const positionsOfEach = (positions: Tensor, { frequencies, sections }: Rope): Tensor => {
  const [tokens = 0, rows = 0, axes = 1] = positions.shape.toReversed();
  if (axes === 1) return positions.reshape(rows, tokens, 1, 1);
  const axisOf = (sections ?? [frequencies.size]).flatMap((size, axis) => Array.from({ length: size }, () => axis));
  return mx.take(positions, mx.array(axisOf, mx.int32), 0).transpose(1, 2, 0).reshape(rows, tokens, 1, axisOf.length);
};

const scaled = (x: Tensor, scale: number): Tensor => (scale === 1 ? x : mx.multiply(x, scale));

/**
 * @param x [rows, tokens, heads, headDim]; elements beyond the rotated ones stay as they are
 * @returns [rows, heads, tokens, headDim], in the type of x
 */
export const rotate = (x: Tensor, rotation: Rotation): Tensor => {
  if ("offsets" in rotation) return rotateByOffset(x.transpose(0, 2, 1, 3), rotation);
  const dims = rotation.cos.shape.at(-1) ?? 0;
  return onFirst(x, dims, (turning) => rotateByTable(turning, rotation)).transpose(0, 2, 1, 3);
};

const rotateByOffset = (x: Tensor, { rope, offsets }: ByOffset): Tensor => {
  const { frequencies, periods, positionScale, scale, inPairs } = rope;
  const dims = 2 * frequencies.size;
  const sharpened = scale === 1 ? x : onFirst(x, dims, (turning) => mx.multiply(turning, scale));
  // With 16-bit inputs MLX's CPU kernel also rounds cosines and sines; the GPU's kernel computes them in 32 bits.
  const exact = device === "cpu" ? sharpened.astype(mx.float32) : sharpened;
  return mx.fast.rope(exact, dims, inPairs, undefined, positionScale, offsets, periods, frequencies).astype(x.dtype);
};

/** Applies a function to the first elements of the last axis. */
const onFirst = (x: Tensor, dims: number, change: (first: Tensor) => Tensor): Tensor => {
  if (dims === x.shape.at(-1)) return change(x);
  const [first, others] = mx.split(x, [dims], -1) as [Tensor, Tensor];
  return mx.concatenate([change(first), others], -1);
};

const rotateByTable = (x: Tensor, { cos, sin, partners }: ByTable): Tensor => {
  const across = partners === undefined ? swapHalves(x) : mx.take(x, partners, -1);
  return mx.add(mx.multiply(x, cos), mx.multiply(across, sin)).astype(x.dtype);
};

const swapHalves = (x: Tensor): Tensor => {
  const [low, high] = mx.split(x, 2, -1) as [Tensor, Tensor];
  return mx.concatenate([high, low], -1);
};
