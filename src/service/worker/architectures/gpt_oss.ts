/**
 * gpt-oss: a mixture of experts whose attention has a learned sink for each head, with a sliding window in every other
 * layer. Architecture: OpenAI 2025, "gpt-oss-120b & gpt-oss-20b Model Card" (arXiv:2508.10925); sinks: Xiao et al. 2023
 * (arXiv:2309.17453).
 */
import { clampedSwiglu } from "../layers/activations.ts";
import { attendVariant, toHeads } from "../layers/attention.ts";
import { createEmbedding } from "../layers/embedding.ts";
import { createExpertLinear, largest, mixExperts } from "../layers/experts.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Visible } from "../cache/step-context.ts";
import { createLinear, createSplitLinear, joinBiases, type Linear } from "../layers/linear.ts";
import { all, device, mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { readRope, rotate, type Rotation, rotationAt } from "../layers/rope.ts";
import { eachLayer, type Matrix, type Weights } from "../weights/weights.ts";
import type { CreateModel } from "./Model.ts";

export const createModel: CreateModel = async (config, weights) => {
  const args = readArgs(config);
  const embedding = createEmbedding(weights, "model.embed_tokens", args.vocabularySize, args.hiddenSize);
  const blocks = await eachLayer(args.layers, (layer) => createBlock(args, weights, layer));
  const norm = weights.take("model.norm.weight", [args.hiddenSize]);
  const head = createLinear(weights, [{ name: "lm_head", out: args.vocabularySize }], args.hiddenSize, false);
  const rope = readRope(config, args.headDim, 150_000);
  return {
    cacheShape: { layers: args.layers, kvHeads: args.kvHeads, headDim: args.headDim },
    vocabularySize: args.vocabularySize,
    // On a CPU MLX has no kernel for attention with sinks and composes it of operations.
    ...(device === "cpu" && { scoreArrays: 2 }),
    embed: embedding.lookup,
    forwardEmbedded: (embedded, cache, positions) => {
      const [, count = 0] = embedded.shape;
      const step = cache.begin(count);
      const rotation = rotationAt(positions ?? step.places, rope);
      let x = embedded;
      for (const [layer, block] of blocks.entries()) {
        x = block(x, rotation, args.isSliding(layer) ? step.visibleWithin(args.window) : step.visible, cache);
      }
      cache.commit();
      return mx.fast.rmsNorm(x, norm, args.normEps);
    },
    logits: head,
  };
};

interface Args {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly expertSize: number;
  readonly vocabularySize: number;
  readonly normEps: number;
  readonly window: number;
  readonly isSliding: (layer: number) => boolean;
}

const readArgs = (config: ModelConfig): Args => {
  const layers = config.count("num_hidden_layers");
  const layerTypes = config.words("layer_types", layers, ["full_attention", "sliding_attention"]);
  return {
    hiddenSize: config.count("hidden_size"),
    layers,
    heads: config.count("num_attention_heads"),
    kvHeads: config.divisor("num_key_value_heads", config.count("num_attention_heads")),
    headDim: config.count("head_dim", 64),
    experts: config.count("num_local_experts"),
    expertsPerToken: config.countUpTo("num_experts_per_tok", config.count("num_local_experts")),
    expertSize: config.count("intermediate_size"),
    vocabularySize: config.count("vocab_size"),
    normEps: config.number("rms_norm_eps", 1e-5),
    window: config.count("sliding_window", 128),
    isSliding: (layer) => (layerTypes === undefined ? layer % 2 === 0 : layerTypes[layer] === "sliding_attention"),
  };
};

type Block = (x: Tensor, rotation: Rotation, visible: Visible, cache: KVCache) => Tensor;

const createBlock = (args: Args, weights: Weights, layer: number): Block => {
  const prefix = `model.layers.${layer}`;
  const attentionNorm = weights.take(`${prefix}.input_layernorm.weight`, [args.hiddenSize]);
  const attention = createAttention(args, weights, layer);
  const mixtureNorm = weights.take(`${prefix}.post_attention_layernorm.weight`, [args.hiddenSize]);
  const mixture = createMixture(args, weights, `${prefix}.mlp`);
  return (x, rotation, visible, cache) => {
    const attended = mx.add(x, attention(mx.fast.rmsNorm(x, attentionNorm, args.normEps), rotation, visible, cache));
    return mx.add(attended, mixture(mx.fast.rmsNorm(attended, mixtureNorm, args.normEps)));
  };
};

const createAttention = (args: Args, weights: Weights, layer: number): Block => {
  const { heads, kvHeads, headDim } = args;
  const prefix = `model.layers.${layer}.self_attn`;
  const qkv = createSplitLinear(
    weights,
    [
      { name: `${prefix}.q_proj`, out: heads * headDim },
      { name: `${prefix}.k_proj`, out: kvHeads * headDim },
      { name: `${prefix}.v_proj`, out: kvHeads * headDim },
    ],
    [(heads + kvHeads) * headDim, kvHeads * headDim],
    args.hiddenSize,
    true,
  );
  const output = createLinear(weights, [{ name: `${prefix}.o_proj`, out: args.hiddenSize }], heads * headDim, true);
  const variant = { sinks: weights.take(`${prefix}.sinks`, [heads]) };
  const scale = headDim ** -0.5;
  return (x, rotation, visible, cache) => {
    const [queriesAndKeys, v] = qkv(x).map((y) => toHeads(y, headDim)) as [Tensor, Tensor];
    const [q, k] = mx.split(rotate(queriesAndKeys, rotation), [heads], 1) as [Tensor, Tensor];
    const { keys, values } = cache.update(layer, k, v.transpose(0, 2, 1, 3), visible);
    return output(attendVariant(q, keys, values, scale, visible.mask, variant));
  };
};

const createMixture = (args: Args, weights: Weights, prefix: string): Linear => {
  const { experts, expertsPerToken, hiddenSize } = args;
  const router = createLinear(weights, [{ name: `${prefix}.router`, out: experts }], hiddenSize, true);
  const taken = takeExperts(args, weights, `${prefix}.experts`);
  const gateAndUp = createExpertLinear([taken.gate, taken.up], taken.gateAndUpBias);
  const down = createExpertLinear([taken.down], taken.downBias);
  return (x) => {
    const [rows = 0, tokens = 0] = x.shape;
    const flat = x.reshape(rows * tokens, hiddenSize);
    const scores = router(flat);
    const chosen = largest(scores, expertsPerToken);
    const shares = mx.softmax(mx.takeAlongAxis(scores, chosen, -1), -1, true);
    const mixed = mixExperts(flat, chosen, shares, (each, expert) => {
      const [gate, up] = mx.split(gateAndUp(each, expert), 2, -1) as [Tensor, Tensor];
      return down(clampedSwiglu(gate, up), expert);
    });
    return mixed.reshape(rows, tokens, hiddenSize);
  };
};

interface Experts {
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly gateAndUpBias: Tensor;
  readonly down: Matrix;
  readonly downBias: Tensor;
}

/**
 * MLX's checkpoints have a stack for each projection. The original interleaves gate and up, either in mxfp4 or
 * transposed in 16 bits.
 */
const takeExperts = (args: Args, weights: Weights, prefix: string): Experts => {
  const { experts, expertSize, hiddenSize } = args;
  if (weights.has(`${prefix}.gate_proj.weight`)) {
    const bias = (name: string): Tensor => weights.take(`${prefix}.${name}.bias`, [experts, expertSize]);
    return {
      gate: weights.matrix(`${prefix}.gate_proj`, [experts, expertSize, hiddenSize]),
      up: weights.matrix(`${prefix}.up_proj`, [experts, expertSize, hiddenSize]),
      gateAndUpBias: joinBiases([bias("gate_proj"), bias("up_proj")]),
      down: weights.matrix(`${prefix}.down_proj`, [experts, hiddenSize, expertSize]),
      downBias: weights.take(`${prefix}.down_proj.bias`, [experts, hiddenSize]),
    };
  }
  const take = (name: string, out: number, inputs: number): Matrix =>
    weights.has(`${prefix}.${name}_blocks`)
      ? weights.blocks(`${prefix}.${name}`, [experts, out, inputs])
      : {
          quantization: undefined,
          weight: weights.take(`${prefix}.${name}`, [experts, inputs, out]).transpose(0, 2, 1),
        };
  const joined = take("gate_up_proj", 2 * expertSize, hiddenSize);
  const joinedBias = weights.take(`${prefix}.gate_up_proj_bias`, [experts, 2 * expertSize]);
  const turn = (x: Tensor, first: 0 | 1): Tensor => x.index(all, mx.Slice(first, null, 2));
  return {
    gate: changed(joined, (part) => turn(part, 0)),
    up: changed(joined, (part) => turn(part, 1)),
    gateAndUpBias: joinBiases([turn(joinedBias, 0), turn(joinedBias, 1)]),
    down: changed(take("down_proj", hiddenSize, expertSize), (part) => part),
    downBias: weights.take(`${prefix}.down_proj_bias`, [experts, hiddenSize]),
  };
};

/** Evaluated, so that the original can be freed. */
const changed = (matrix: Matrix, change: (part: Tensor) => Tensor): Matrix => {
  const weight = change(matrix.weight);
  mx.eval(weight);
  if (matrix.quantization === undefined) return { quantization: undefined, weight };
  const scales = change(matrix.scales);
  const biases = matrix.biases && change(matrix.biases);
  mx.eval(scales, ...(biases === undefined ? [] : [biases]));
  return { ...matrix, weight, scales, biases };
};
