/**
 * Gemma 2: norms before and after both parts of a block, soft-capped scores and logits. Architecture: Gemma Team 2024,
 * "Gemma 2" (arXiv:2408.00118). Its sliding-window layers use full attention here, as in mlx-lm, whose results are the
 * reference.
 */
import { geglu } from "../layers/activations.ts";
import { attendVariant, toHeads } from "../layers/attention.ts";
import { createEmbedding } from "../layers/embedding.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Visible } from "../cache/step-context.ts";
import { createLinear, createSplitLinear, type Linear } from "../layers/linear.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { plainRope, rotate, type Rotation, rotationAt } from "../layers/rope.ts";
import { eachLayer, type Weights } from "../weights/weights.ts";
import type { CreateModel } from "./Model.ts";

export const createModel: CreateModel = async (config, weights) => {
  const args = readArgs(config);
  const embedding = createEmbedding(weights, "model.embed_tokens", args.vocabularySize, args.hiddenSize);
  const blocks = await eachLayer(args.layers, (layer) => createBlock(args, weights, layer));
  const norm = takeNorm(weights, "model.norm", args.hiddenSize);
  weights.drop("lm_head.");
  const rope = plainRope(args.ropeTheta, args.headDim, args.ropeInPairs);
  return {
    cacheShape: { layers: args.layers, kvHeads: args.kvHeads, headDim: args.headDim },
    vocabularySize: args.vocabularySize,
    scoreArrays: 9,
    embed: (tokens) => mx.multiply(embedding.lookup(tokens), args.hiddenSize ** 0.5),
    forwardEmbedded: (embedded, cache, positions) => {
      const [, count = 0] = embedded.shape;
      const step = cache.begin(count);
      const rotation = rotationAt(positions ?? step.places, rope);
      let x = embedded;
      for (const block of blocks) x = block(x, rotation, step.visible, cache);
      cache.commit();
      return mx.fast.rmsNorm(x, norm, args.normEps);
    },
    logits: (hidden) => {
      const logits = embedding.asLinear(hidden);
      return mx.multiply(mx.tanh(mx.divide(logits, args.logitSoftcap)), args.logitSoftcap);
    },
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
  readonly ropeInPairs: boolean;
  readonly queryScale: number;
  readonly attentionSoftcap: number;
  readonly logitSoftcap: number;
}

const readArgs = (config: ModelConfig): Args => ({
  hiddenSize: config.count("hidden_size"),
  layers: config.count("num_hidden_layers"),
  heads: config.count("num_attention_heads"),
  kvHeads: config.divisor("num_key_value_heads", config.count("num_attention_heads")),
  headDim: config.count("head_dim"),
  intermediateSize: config.count("intermediate_size"),
  vocabularySize: config.count("vocab_size"),
  normEps: config.number("rms_norm_eps", 1e-6),
  ropeTheta: config.positive("rope_theta", config.section("rope_parameters")?.positive("rope_theta", 10_000) ?? 10_000),
  ropeInPairs: config.boolean("rope_traditional", false),
  queryScale: config.positive("query_pre_attn_scalar", 144) ** -0.5,
  attentionSoftcap: config.positive("attn_logit_softcapping", 50),
  logitSoftcap: config.positive("final_logit_softcapping", 30),
});

type Block = (x: Tensor, rotation: Rotation, visible: Visible, cache: KVCache) => Tensor;

const createBlock = (args: Args, weights: Weights, layer: number): Block => {
  const prefix = `model.layers.${layer}`;
  const attentionNorm = takeNorm(weights, `${prefix}.input_layernorm`, args.hiddenSize);
  const attention = createAttention(args, weights, layer);
  const attendedNorm = takeNorm(weights, `${prefix}.post_attention_layernorm`, args.hiddenSize);
  const mlpNorm = takeNorm(weights, `${prefix}.pre_feedforward_layernorm`, args.hiddenSize);
  const mlp = createMlp(args, weights, `${prefix}.mlp`);
  const outputNorm = takeNorm(weights, `${prefix}.post_feedforward_layernorm`, args.hiddenSize);
  const normalized = (x: Tensor, norm: Tensor): Tensor => mx.fast.rmsNorm(x, norm, args.normEps);
  return (x, rotation, visible, cache) => {
    const attended = attention(normalized(x, attentionNorm), rotation, visible, cache);
    const between = mx.add(x, normalized(attended, attendedNorm));
    return mx.add(between, normalized(mlp(normalized(between, mlpNorm)), outputNorm));
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
    false,
  );
  const output = createLinear(weights, [{ name: `${prefix}.o_proj`, out: args.hiddenSize }], heads * headDim, false);
  const variant = { softcap: args.attentionSoftcap };
  return (x, rotation, visible, cache) => {
    const [queriesAndKeys, v] = qkv(x).map((y) => toHeads(y, headDim)) as [Tensor, Tensor];
    const [q, k] = mx.split(rotate(queriesAndKeys, rotation), [heads], 1) as [Tensor, Tensor];
    const { keys, values } = cache.update(layer, k, v.transpose(0, 2, 1, 3), visible);
    return output(attendVariant(q, keys, values, args.queryScale, visible.mask, variant));
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
    return down(geglu(gate, up));
  };
};

/** Stored as the difference from one. */
const takeNorm = (weights: Weights, path: string, size: number): Tensor => {
  const norm = mx.add(weights.take(`${path}.weight`, [size]), 1);
  mx.eval(norm);
  return norm;
};
