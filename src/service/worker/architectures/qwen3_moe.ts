/**
 * Qwen3 mixtures of experts: Qwen3 whose feed-forward layers have a router that chooses a few experts for each token.
 * Architecture: Yang et al. 2025, "Qwen3 Technical Report" (arXiv:2505.09388).
 */
import { swiglu } from "../layers/activations.ts";
import { attend, toHeads } from "../layers/attention.ts";
import { createEmbedding } from "../layers/embedding.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Visible } from "../cache/step-context.ts";
import { createExpertLinear, largest, mixExperts } from "../layers/experts.ts";
import { createLinear, createSplitLinear, type Linear } from "../layers/linear.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { plainRope, rotate, type Rotation, rotationAt } from "../layers/rope.ts";
import { eachLayer, type Matrix, type Weights } from "../weights/weights.ts";
import type { CreateModel } from "./Model.ts";

export const createModel: CreateModel = async (config, weights) => {
  const args = readArgs(config, weights);
  const embedding = createEmbedding(weights, "model.embed_tokens", args.vocabularySize, args.hiddenSize);
  const blocks = await eachLayer(args.layers, (layer) => createBlock(args, weights, layer));
  const norm = weights.take("model.norm.weight", [args.hiddenSize]);
  if (args.tieEmbeddings) weights.drop("lm_head.");
  const head = args.tieEmbeddings
    ? embedding.asLinear
    : createLinear(weights, [{ name: "lm_head", out: args.vocabularySize }], args.hiddenSize, false);
  // `rope_scaling` is ignored as in mlx-lm, whose results are the reference.
  const rope = plainRope(args.ropeTheta, args.headDim);
  return {
    cacheShape: { layers: args.layers, kvHeads: args.kvHeads, headDim: args.headDim },
    vocabularySize: args.vocabularySize,
    embed: embedding.lookup,
    forwardEmbedded: (embedded, cache, positions) => {
      const [, count = 0] = embedded.shape;
      const step = cache.begin(count);
      const rotation = rotationAt(positions ?? step.places, rope);
      let x = embedded;
      for (const block of blocks) x = block(x, rotation, step.visible, cache);
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
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly normEps: number;
  readonly ropeTheta: number;
  readonly tieEmbeddings: boolean;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly expertSize: number;
  readonly normalizeShares: boolean;
  /** Whether the feed-forward part of a layer is a mixture of experts. */
  readonly isSparse: (layer: number) => boolean;
}

const readArgs = (config: ModelConfig, weights: Weights): Args => {
  const hiddenSize = config.count("hidden_size");
  const heads = config.count("num_attention_heads");
  const experts = config.number("num_experts");
  const sparseStep = config.count("decoder_sparse_step", 1);
  const denseLayers = new Set(config.numbers("mlp_only_layers", []));
  return {
    hiddenSize,
    layers: config.count("num_hidden_layers"),
    heads,
    kvHeads: config.divisor("num_key_value_heads", heads, heads),
    headDim: config.count("head_dim", hiddenSize / heads),
    intermediateSize: config.count("intermediate_size"),
    vocabularySize: config.count("vocab_size"),
    normEps: config.number("rms_norm_eps", 1e-6),
    ropeTheta: config.positive("rope_theta", config.section("rope_parameters")?.positive("rope_theta")),
    tieEmbeddings: config.boolean("tie_word_embeddings", !weights.has("lm_head.weight")),
    experts,
    expertsPerToken: experts === 0 ? 0 : config.countUpTo("num_experts_per_tok", experts),
    expertSize: config.count("moe_intermediate_size"),
    normalizeShares: config.boolean("norm_topk_prob"),
    isSparse: (layer) => experts > 0 && !denseLayers.has(layer) && (layer + 1) % sparseStep === 0,
  };
};

type Block = (x: Tensor, rotation: Rotation, visible: Visible, cache: KVCache) => Tensor;

const createBlock = (args: Args, weights: Weights, layer: number): Block => {
  const prefix = `model.layers.${layer}`;
  const attentionNorm = weights.take(`${prefix}.input_layernorm.weight`, [args.hiddenSize]);
  const attention = createAttention(args, weights, layer);
  const mlpNorm = weights.take(`${prefix}.post_attention_layernorm.weight`, [args.hiddenSize]);
  const mlp = (args.isSparse(layer) ? createMixture : createMlp)(args, weights, `${prefix}.mlp`);
  return (x, rotation, visible, cache) => {
    const attended = mx.add(x, attention(mx.fast.rmsNorm(x, attentionNorm, args.normEps), rotation, visible, cache));
    return mx.add(attended, mlp(mx.fast.rmsNorm(attended, mlpNorm, args.normEps)));
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
    [heads * headDim, kvHeads * headDim, kvHeads * headDim],
    args.hiddenSize,
    false,
  );
  const queryNorm = weights.take(`${prefix}.q_norm.weight`, [headDim]);
  const keyNorm = weights.take(`${prefix}.k_norm.weight`, [headDim]);
  const output = createLinear(weights, [{ name: `${prefix}.o_proj`, out: args.hiddenSize }], heads * headDim, false);
  const scale = headDim ** -0.5;
  return (x, rotation, visible, cache) => {
    const [queries, newKeys, v] = qkv(x).map((y) => toHeads(y, headDim)) as [Tensor, Tensor, Tensor];
    const q = rotate(mx.fast.rmsNorm(queries, queryNorm, args.normEps), rotation);
    const k = rotate(mx.fast.rmsNorm(newKeys, keyNorm, args.normEps), rotation);
    const { keys, values } = cache.update(layer, k, v.transpose(0, 2, 1, 3), visible);
    return output(attend(q, keys, values, scale, visible.mask));
  };
};

const createMlp = (args: Args, weights: Weights, prefix: string): Linear => {
  const gateAndUp = createSplitLinear(
    weights,
    [
      { name: `${prefix}.gate_proj`, out: args.intermediateSize },
      { name: `${prefix}.up_proj`, out: args.intermediateSize },
    ],
    [args.intermediateSize, args.intermediateSize],
    args.hiddenSize,
    false,
  );
  const down = createLinear(
    weights,
    [{ name: `${prefix}.down_proj`, out: args.hiddenSize }],
    args.intermediateSize,
    false,
  );
  return (x) => {
    const [gate, up] = gateAndUp(x) as [Tensor, Tensor];
    return down(swiglu(gate, up));
  };
};

const createMixture = (args: Args, weights: Weights, prefix: string): Linear => {
  const { experts, expertsPerToken, expertSize, hiddenSize } = args;
  const router = createLinear(weights, [{ name: `${prefix}.gate`, out: experts }], hiddenSize, false);
  const gateAndUp = createExpertLinear([
    takeExperts(weights, prefix, "gate_proj", [experts, expertSize, hiddenSize]),
    takeExperts(weights, prefix, "up_proj", [experts, expertSize, hiddenSize]),
  ]);
  const down = createExpertLinear([takeExperts(weights, prefix, "down_proj", [experts, hiddenSize, expertSize])]);
  return (x) => {
    const [rows = 0, tokens = 0] = x.shape;
    const flat = x.reshape(rows * tokens, hiddenSize);
    const probabilities = mx.softmax(router(flat), -1, true);
    const chosen = largest(probabilities, expertsPerToken);
    const parts = mx.takeAlongAxis(probabilities, chosen, -1);
    const shares = args.normalizeShares ? mx.divide(parts, mx.sum(parts, -1, true)) : parts;
    const mixed = mixExperts(flat, chosen, shares, (each, expert) => {
      const [gate, up] = mx.split(gateAndUp(each, expert), 2, -1) as [Tensor, Tensor];
      return down(swiglu(gate, up), expert);
    });
    return mixed.reshape(rows, tokens, hiddenSize);
  };
};

/** MLX's checkpoints have one stack for all experts, others a matrix for each. */
const takeExperts = (
  weights: Weights,
  prefix: string,
  name: string,
  shape: readonly [experts: number, out: number, inputs: number],
): Matrix => {
  const [experts, ...each] = shape;
  if (!weights.has(`${prefix}.experts.0.${name}.weight`)) {
    return weights.matrix(`${prefix}.switch_mlp.${name}`, shape);
  }
  const matrices = Array.from({ length: experts }, (_, expert) =>
    weights.take(`${prefix}.experts.${expert}.${name}.weight`, each),
  );
  const weight = mx.stack(matrices, 0);
  mx.eval(weight);
  return { quantization: undefined, weight };
};
