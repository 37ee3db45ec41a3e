/**
 * Llama and models with the same structure: Mistral, Yi, the DeepSeek-R1 distillations of Llama. Architecture: Touvron
 * et al. 2023 (arXiv:2302.13971), with grouped-query attention as in Llama 2 and 3; layers with a sliding window as in
 * Jiang et al. 2023, "Mistral 7B" (arXiv:2310.06825), if `layer_types` asks for them.
 */
import { swiglu } from "../layers/activations.ts";
import { attend, toHeads } from "../layers/attention.ts";
import { createEmbedding } from "../layers/embedding.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Visible } from "../cache/step-context.ts";
import { createLinear, createSplitLinear, type Linear } from "../layers/linear.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { readRope, rotate, type Rotation, rotationAt } from "../layers/rope.ts";
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
  const rope = readRope(config, args.headDim, 10_000);
  return {
    cacheShape: { layers: args.layers, kvHeads: args.kvHeads, headDim: args.headDim },
    vocabularySize: args.vocabularySize,
    embed: embedding.lookup,
    forwardEmbedded: (embedded, cache, positions) => {
      const [, count = 0] = embedded.shape;
      const step = cache.begin(count);
      const rotation = rotationAt(positions ?? step.places, rope);
      let x = embedded;
      for (const [layer, block] of blocks.entries()) {
        const window = args.windows[layer];
        x = block(x, rotation, window === undefined ? step.visible : step.visibleWithin(window), cache);
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
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly normEps: number;
  readonly tieEmbeddings: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  /** How far back each layer looks; undefined for full attention. */
  readonly windows: ReadonlyArray<number | undefined>;
}

const readArgs = (config: ModelConfig, weights: Weights): Args => {
  const hiddenSize = config.count("hidden_size");
  const layers = config.count("num_hidden_layers");
  const heads = config.count("num_attention_heads");
  const layerTypes = config.words("layer_types", layers, ["full_attention", "sliding_attention"]) ?? [];
  return {
    hiddenSize,
    layers,
    heads,
    kvHeads: config.divisor("num_key_value_heads", heads, heads),
    headDim: config.count("head_dim", hiddenSize / heads),
    intermediateSize: config.count("intermediate_size"),
    vocabularySize: config.count("vocab_size"),
    normEps: config.number("rms_norm_eps", 1e-5),
    tieEmbeddings: config.boolean("tie_word_embeddings", !weights.has("lm_head.weight")),
    attentionBias: config.boolean("attention_bias", false),
    mlpBias: config.boolean("mlp_bias", false),
    windows: layerTypes.map((type) => (type === "sliding_attention" ? config.count("sliding_window") : undefined)),
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
  const qkv = createSplitLinear(
    weights,
    [
      { name: `${prefix}.q_proj`, out: heads * headDim },
      { name: `${prefix}.k_proj`, out: kvHeads * headDim },
      { name: `${prefix}.v_proj`, out: kvHeads * headDim },
    ],
    [(heads + kvHeads) * headDim, kvHeads * headDim],
    args.hiddenSize,
    args.attentionBias,
  );
  const output = createLinear(
    weights,
    [{ name: `${prefix}.o_proj`, out: args.hiddenSize }],
    heads * headDim,
    args.attentionBias,
  );
  const scale = headDim ** -0.5;
  return (x, rotation, visible, cache) => {
    const [queriesAndKeys, v] = qkv(x).map((y) => toHeads(y, headDim)) as [Tensor, Tensor];
    const [q, k] = mx.split(rotate(queriesAndKeys, rotation), [heads], 1) as [Tensor, Tensor];
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
    args.mlpBias,
  );
  const down = createLinear(
    weights,
    [{ name: `${prefix}.down_proj`, out: args.hiddenSize }],
    args.intermediateSize,
    args.mlpBias,
  );
  return (x) => {
    const [gate, up] = gateAndUp(x) as [Tensor, Tensor];
    return down(swiglu(gate, up));
  };
};
