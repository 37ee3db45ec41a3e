import { mx, type Tensor } from "./mlx.ts";

/** Qwen2 with as many key as query heads and tied embeddings. */
export interface Shape {
  vocabulary: number;
  hidden: number;
  layers: number;
  heads: number;
  headSize: number;
  feedForward: number;
  context: number;
  ropeBase: number;
  epsilon: number;
}

/**
 * Weights by name: `embedding`, `norm`, and for layer N `N.qkv` [hidden, 3 x hidden], `N.bias`, `N.out`, `N.gateUp`
 * [hidden, 2 x feedForward], `N.down`, `N.inputNorm`, `N.postNorm`. Matrices take a row of inputs on their left.
 */
export type Parameters = Record<string, Tensor>;

/** Keys and values of what was read so far, per layer [rows, heads, length, headSize]. */
export type Cache = { keys: Tensor; values: Tensor }[];

export function createParameters(shape: Shape, seed: number): Parameters {
  const { hidden, heads, headSize, feedForward, layers } = shape;
  const width = heads * headSize;
  let key = mx.random.key(seed);
  const normal = (rows: number, columns: number, deviation: number): Tensor => {
    const [next, own] = mx.random.split(key).tolist() as [number[], number[]];
    key = mx.array(next, mx.uint32);
    return mx.random.normal([rows, columns], mx.float32, 0, deviation, mx.array(own, mx.uint32));
  };
  const parameters: Parameters = { embedding: normal(shape.vocabulary, hidden, 0.04), norm: mx.ones([hidden]) };
  for (let layer = 0; layer < layers; layer++) {
    Object.assign(parameters, {
      [`${layer}.qkv`]: normal(hidden, 3 * width, 1 / Math.sqrt(hidden)),
      [`${layer}.bias`]: mx.zeros([3 * width]),
      [`${layer}.out`]: normal(width, hidden, 1 / Math.sqrt(width * 2 * layers)),
      [`${layer}.gateUp`]: normal(hidden, 2 * feedForward, 1 / Math.sqrt(hidden)),
      [`${layer}.down`]: normal(feedForward, hidden, 1 / Math.sqrt(feedForward * 2 * layers)),
      [`${layer}.inputNorm`]: mx.ones([hidden]),
      [`${layer}.postNorm`]: mx.ones([hidden]),
    });
  }
  return parameters;
}

/** Cosines and sines for the positions from `start` on, [length, headSize / 2] each. */
export function rotations(shape: Shape, start: number, length: number): [cos: Tensor, sin: Tensor] {
  const half = shape.headSize / 2;
  const positions = mx.arange(start, start + length, 1, mx.float32);
  const frequencies = mx.exp(mx.multiply(mx.arange(0, half, 1, mx.float32), -Math.log(shape.ropeBase) / half));
  const angles = mx.multiply(mx.expandDims(positions, 1), mx.expandDims(frequencies, 0));
  return [mx.cos(angles), mx.sin(angles)];
}

/** [length, length]: 0 where a position may look, a very negative number where it may not. */
export function causalMask(length: number): Tensor {
  const positions = mx.arange(0, length, 1, mx.int32);
  return mx.multiply(mx.less(mx.expandDims(positions, 1), mx.expandDims(positions, 0)).astype(mx.float32), -1e9);
}

/**
 * The last hidden state of every position, [rows x length, hidden]. With a cache the tokens continue what it holds, and it
 * is brought up to date.
 */
export function hiddenStates(
  shape: Shape,
  parameters: Parameters,
  tokens: Tensor,
  rotation: [Tensor, Tensor],
  mask?: Tensor,
  cache?: Cache,
): Tensor {
  const [rows = 0, length = 0] = tokens.shape;
  const { hidden, heads, headSize, epsilon } = shape;
  const weight = weightsOf(parameters);
  let x = mx.reshape(mx.take(weight("embedding"), tokens, 0), [rows * length, hidden]);
  for (let layer = 0; layer < shape.layers; layer++) {
    const normed = mx.fast.rmsNorm(x, weight(`${layer}.inputNorm`), epsilon);
    const qkv = mx.addmm(weight(`${layer}.bias`), normed, weight(`${layer}.qkv`));
    const byHead = mx.transpose(mx.reshape(qkv, [rows, length, 3 * heads, headSize]), [0, 2, 1, 3]);
    const [queries, keys, values] = mx.split(byHead, 3, 1) as [Tensor, Tensor, Tensor];
    const attended = attend(
      shape,
      rotate(queries, rotation),
      extend(cache, layer, rotate(keys, rotation), values),
      mask,
    );
    x = mx.add(
      x,
      mx.matmul(
        mx.reshape(mx.transpose(attended, [0, 2, 1, 3]), [rows * length, heads * headSize]),
        weight(`${layer}.out`),
      ),
    );
    const [gate, up] = mx.split(
      mx.matmul(mx.fast.rmsNorm(x, weight(`${layer}.postNorm`), epsilon), weight(`${layer}.gateUp`)),
      2,
      -1,
    ) as [Tensor, Tensor];
    x = mx.add(x, mx.matmul(mx.multiply(mx.multiply(gate, mx.sigmoid(gate)), up), weight(`${layer}.down`)));
  }
  return x;
}

/** Scores of every token for the given hidden states, [positions, vocabulary]. */
export function scores(shape: Shape, parameters: Parameters, states: Tensor): Tensor {
  const weight = weightsOf(parameters);
  return mx.matmul(mx.fast.rmsNorm(states, weight("norm"), shape.epsilon), mx.transpose(weight("embedding")));
}

function attend(shape: Shape, queries: Tensor, { keys, values }: Cache[number], mask?: Tensor): Tensor {
  const raw = mx.matmul(mx.multiply(queries, 1 / Math.sqrt(shape.headSize)), mx.transpose(keys, [0, 1, 3, 2]));
  return mx.matmul(mx.softmax(mask === undefined ? raw : mx.add(raw, mask), -1), values);
}

function extend(cache: Cache | undefined, layer: number, keys: Tensor, values: Tensor): Cache[number] {
  const before = cache?.[layer];
  const all =
    before === undefined
      ? { keys, values }
      : { keys: mx.concatenate([before.keys, keys], 2), values: mx.concatenate([before.values, values], 2) };
  if (cache !== undefined) cache[layer] = all;
  return all;
}

/** RoPE in the half-split layout. `fast.rope` is slower here in training, and gives no gradients with tables of its own. */
function rotate(x: Tensor, [cos, sin]: [Tensor, Tensor]): Tensor {
  const [left, right] = mx.split(x, 2, -1) as [Tensor, Tensor];
  return mx.concatenate(
    [
      mx.subtract(mx.multiply(left, cos), mx.multiply(right, sin)),
      mx.add(mx.multiply(left, sin), mx.multiply(right, cos)),
    ],
    -1,
  );
}

function weightsOf(parameters: Parameters): (name: string) => Tensor {
  return (name) => {
    const tensor = parameters[name];
    if (tensor === undefined) throw new Error(`the model has no weight ${name}`);
    return tensor;
  };
}
