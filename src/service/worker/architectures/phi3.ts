/**
 * Phi-3, Phi-3.5 and Phi-4: Llama with fused projections, and rotary embedding that may leave part of each head as it
 * is. Architecture: Abdin et al. 2024, "Phi-3 Technical Report" (arXiv:2404.14219).
 */
import { swiglu } from "../layers/activations.ts";
import { attend, toHeads } from "../layers/attention.ts";
import { createEmbedding } from "../layers/embedding.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Visible } from "../cache/step-context.ts";
import { createLinear, createSplitLinear, type Linear } from "../layers/linear.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { plainRope, readRope, type Rope, rotate, type Rotation, rotationAt } from "../layers/rope.ts";
import { eachLayer, type Weights } from "../weights/weights.ts";
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
  const rope = readPhiRope(config, args.headDim);
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
  readonly tieEmbeddings: boolean;
}

const readArgs = (config: ModelConfig, weights: Weights): Args => {
  const hiddenSize = config.count("hidden_size");
  const heads = config.count("num_attention_heads");
  return {
    hiddenSize,
    layers: config.count("num_hidden_layers"),
    heads,
    kvHeads: config.divisor("num_key_value_heads", heads, heads),
    headDim: config.count("head_dim", hiddenSize / heads),
    intermediateSize: config.count("intermediate_size"),
    vocabularySize: config.count("vocab_size"),
    normEps: config.number("rms_norm_eps", 1e-5),
    tieEmbeddings: config.boolean("tie_word_embeddings", !weights.has("lm_head.weight")),
  };
};

type Block = (x: Tensor, rotation: Rotation, visible: Visible, cache: KVCache) => Tensor;

const createBlock = (args: Args, weights: Weights, layer: number): Block => {
  const prefix = `model.layers.${layer}`;
  const attentionNorm = weights.take(`${prefix}.input_layernorm.weight`, [args.hiddenSize]);
  const attention = createAttention(args, weights, layer);
  const mlpNorm = weights.take(`${prefix}.post_attention_layernorm.weight`, [args.hiddenSize]);
  const mlp = createMlp(args, weights, `${prefix}.mlp`);
  return (x, rotation, visible, cache) => {
    const attended = mx.add(x, attention(mx.fast.rmsNorm(x, attentionNorm, args.normEps), rotation, visible, cache));
    return mx.add(attended, mlp(mx.fast.rmsNorm(attended, mlpNorm, args.normEps)));
  };
};

const createAttention = (args: Args, weights: Weights, layer: number): Block => {
  const { heads, kvHeads, headDim } = args;
  const prefix = `model.layers.${layer}.self_attn`;
  const outputs = (heads + 2 * kvHeads) * headDim;
  const qkv = createSplitLinear(
    weights,
    [{ name: `${prefix}.qkv_proj`, out: outputs }],
    [(heads + kvHeads) * headDim, kvHeads * headDim],
    args.hiddenSize,
    false,
  );
  const output = createLinear(weights, [{ name: `${prefix}.o_proj`, out: args.hiddenSize }], heads * headDim, false);
  const scale = headDim ** -0.5;
  return (x, rotation, visible, cache) => {
    const [queriesAndKeys, v] = qkv(x).map((y) => toHeads(y, headDim)) as [Tensor, Tensor];
    const [q, k] = mx.split(rotate(queriesAndKeys, rotation), [heads], 1) as [Tensor, Tensor];
    const { keys, values } = cache.update(layer, k, v.transpose(0, 2, 1, 3), visible);
    return output(attend(q, keys, values, scale, visible.mask));
  };
};

const createMlp = (args: Args, weights: Weights, prefix: string): Linear => {
  const outputs = 2 * args.intermediateSize;
  const gateAndUp = createSplitLinear(
    weights,
    [{ name: `${prefix}.gate_up_proj`, out: outputs }],
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

/** As in mlx-lm: an unknown kind of scaling is ignored, and the original length is a key beside the scaling. */
const readPhiRope = (config: ModelConfig, headDim: number): Rope => {
  const parameters = config.section("rope_parameters");
  const turning = config.positive("partial_rotary_factor", parameters?.positive("partial_rotary_factor", 1) ?? 1);
  if (turning > 1) throw config.wrong("partial_rotary_factor", "at most 1");
  const dims = Math.trunc(headDim * turning);
  const scaling = config.section("rope_scaling");
  if (scaling === undefined) return readRope(config, dims, defaultTheta);
  const type = scaling.string("type", scaling.string("rope_type", "default"));
  return ["longrope", "su", "linear"].includes(type)
    ? readRope(config, dims, defaultTheta, config.count("original_max_position_embeddings", 4096))
    : plainRope(config.positive("rope_theta", defaultTheta), dims, config.boolean("rope_traditional", false));
};

const defaultTheta = 10_000;
