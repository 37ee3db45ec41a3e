/**
 * Gemma 3, text only: like Gemma 2, with normalised queries and keys instead of soft-capped scores. Most layers have a
 * sliding window and a rotary base of their own; by default every sixth has full attention. Architecture: Gemma Team
 * 2025, "Gemma 3 Technical Report" (arXiv:2503.19786).
 */
import { geglu } from "../layers/activations.ts";
import { attend, toHeads } from "../layers/attention.ts";
import { createEmbedding } from "../layers/embedding.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Visible } from "../cache/step-context.ts";
import { createLinear, createSplitLinear, type Linear } from "../layers/linear.ts";
import { addResidual } from "../layers/residual.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import { plainRope, readRope, rotate, type Rotation, rotationAt } from "../layers/rope.ts";
import { eachLayer, type Weights } from "../weights/weights.ts";
import type { CreateModel, Network } from "./Model.ts";

export const createModel: CreateModel = (config, weights) =>
  createTextModel(config, weights, { vocabularySize: config.count("vocab_size"), heads: 4, kvHeads: 1 });

export const createTextModel = async (config: ModelConfig, weights: Weights, defaults: Defaults): Promise<Network> => {
  const args = readArgs(config, defaults);
  const embedding = createEmbedding(weights, "model.embed_tokens", args.vocabularySize, args.hiddenSize);
  const blocks = await eachLayer(args.layers, (layer) => createBlock(args, weights, layer));
  const norm = takeNorm(weights, "model.norm", args.hiddenSize);
  const head = weights.has("lm_head.weight")
    ? createLinear(weights, [{ name: "lm_head", out: args.vocabularySize }], args.hiddenSize, false)
    : embedding.asLinear;
  const parameters = config.section("rope_parameters");
  const localTheta = parameters?.section("sliding_attention")?.positive("rope_theta") ?? 10_000;
  const localRope = plainRope(config.positive("rope_local_base_freq", localTheta), args.headDim);
  const globalRope = readRope(parameters?.section("full_attention") ?? config, args.headDim, 1_000_000);
  // In 16 bits this is the value used in training; in 32 bits the same value has to be used.
  const embeddingScale = mx
    .array(args.hiddenSize ** 0.5, mx.bfloat16)
    .astype(mx.float32)
    .item();
  return {
    cacheShape: { layers: args.layers, kvHeads: args.kvHeads, headDim: args.headDim },
    vocabularySize: args.vocabularySize,
    embed: (tokens) => mx.multiply(embedding.lookup(tokens), embeddingScale),
    forwardEmbedded: (embedded, cache, positions) => {
      const [, count = 0] = embedded.shape;
      const step = cache.begin(count);
      const local = {
        rotation: rotationAt(positions ?? step.places, localRope),
        visible: step.visibleWithin(args.window),
      };
      const global = { rotation: rotationAt(positions ?? step.places, globalRope), visible: step.visible };
      let x = embedded;
      for (const [layer, block] of blocks.entries()) {
        const { rotation, visible } = (layer + 1) % args.windowPattern === 0 ? global : local;
        x = block(x, rotation, visible, cache);
      }
      cache.commit();
      return mx.fast.rmsNorm(x, norm, args.normEps);
    },
    logits: head,
  };
};

/** Values that the configs of the two kinds of checkpoints may leave out. */
interface Defaults {
  readonly vocabularySize: number;
  readonly heads: number;
  readonly kvHeads: number;
}

interface Args {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly normEps: number;
  readonly queryScale: number;
  readonly window: number;
  /** Every so many layers, one has full attention. */
  readonly windowPattern: number;
}

const readArgs = (config: ModelConfig, defaults: Defaults): Args => ({
  hiddenSize: config.count("hidden_size"),
  layers: config.count("num_hidden_layers"),
  heads: config.count("num_attention_heads", defaults.heads),
  kvHeads: config.divisor("num_key_value_heads", config.count("num_attention_heads", defaults.heads), defaults.kvHeads),
  headDim: config.count("head_dim", 256),
  intermediateSize: config.count("intermediate_size"),
  vocabularySize: defaults.vocabularySize,
  normEps: config.number("rms_norm_eps", 1e-6),
  queryScale: config.positive("query_pre_attn_scalar", 256) ** -0.5,
  window: config.count("sliding_window", 512),
  windowPattern: config.count("sliding_window_pattern", 6),
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
    const between = addResidual(x, normalized(attended, attendedNorm));
    return addResidual(between, normalized(mlp(normalized(between, mlpNorm)), outputNorm));
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
  const output = createLinear(weights, [{ name: `${prefix}.o_proj`, out: args.hiddenSize }], heads * headDim, false);
  const queryNorm = takeNorm(weights, `${prefix}.q_norm`, headDim);
  const keyNorm = takeNorm(weights, `${prefix}.k_norm`, headDim);
  return (x, rotation, visible, cache) => {
    const [queries, newKeys, v] = qkv(x).map((y) => toHeads(y, headDim)) as [Tensor, Tensor, Tensor];
    const q = rotate(mx.fast.rmsNorm(queries, queryNorm, args.normEps), rotation);
    const k = rotate(mx.fast.rmsNorm(newKeys, keyNorm, args.normEps), rotation);
    const { keys, values } = cache.update(layer, k, v.transpose(0, 2, 1, 3), visible);
    return output(attend(q, keys, values, args.queryScale, visible.mask));
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
