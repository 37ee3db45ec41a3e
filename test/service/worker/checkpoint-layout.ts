/** The tensors of published checkpoints, for each architecture. */

export const modelTypes = ["llama", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3_text", "phi3", "gpt_oss"] as const;

export type ModelType = (typeof modelTypes)[number];

export interface CheckpointShape {
  readonly modelType: ModelType;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabularySize: number;
  /** @default hiddenSize / heads */
  readonly headDim?: number;
  /** Whether the embedding is the output layer as well. gpt-oss's never is. @default true */
  readonly tied?: boolean;
}

/** A layer's `.weight` may be quantised, the others may not. */
export interface TensorLayout {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: "weight" | "norm" | "other";
}

const experts = 4;

const slidingWindow = 16;

/** What config.json says beside sizes. */
export const configOf = ({ modelType, hiddenSize, heads, headDim }: CheckpointShape): Record<string, unknown> => {
  const ownHeadDim = { head_dim: headDim ?? hiddenSize / heads };
  switch (modelType) {
    case "qwen3":
      return { ...ownHeadDim, rope_theta: 1e6 };
    case "qwen3_moe":
      return {
        ...ownHeadDim,
        rope_theta: 1e6,
        num_experts: experts,
        num_experts_per_tok: 2,
        moe_intermediate_size: hiddenSize,
        norm_topk_prob: true,
      };
    case "gemma2":
      return { ...ownHeadDim, query_pre_attn_scalar: 12, attn_logit_softcapping: 5, final_logit_softcapping: 10 };
    case "gemma3_text":
      return { ...ownHeadDim, query_pre_attn_scalar: 12, sliding_window: slidingWindow, sliding_window_pattern: 2 };
    case "gpt_oss":
      return {
        ...ownHeadDim,
        intermediate_size: hiddenSize,
        sliding_window: slidingWindow,
        num_local_experts: experts,
        num_experts_per_tok: 2,
        rope_scaling: { rope_type: "yarn", factor: 8, original_max_position_embeddings: 64 },
      };
    default:
      return headDim === undefined ? {} : ownHeadDim;
  }
};

export const tensorsOf = (shape: CheckpointShape): readonly TensorLayout[] => {
  const { modelType, hiddenSize: size, vocabularySize } = shape;
  const isTied = modelType !== "gpt_oss" && shape.tied !== false;
  return [
    weight("model.embed_tokens", vocabularySize, size),
    norm("model.norm", size),
    ...(isTied ? [] : [weight("lm_head", vocabularySize, size)]),
    ...Array.from({ length: shape.layers }, (_, layer) => `model.layers.${layer}`).flatMap((prefix) => [
      ...normsOf(shape).map((name) => norm(`${prefix}.${name}`, size)),
      ...attentionOf(shape, `${prefix}.self_attn`),
      ...feedForwardOf(shape, `${prefix}.mlp`),
    ]),
  ];
};

const weight = (path: string, ...shape: readonly number[]): TensorLayout => ({
  name: `${path}.weight`,
  shape,
  kind: "weight",
});
const norm = (path: string, size: number): TensorLayout => ({ name: `${path}.weight`, shape: [size], kind: "norm" });
const other = (name: string, ...shape: readonly number[]): TensorLayout => ({ name, shape, kind: "other" });

const normsOf = ({ modelType }: CheckpointShape): readonly string[] => [
  "input_layernorm",
  "post_attention_layernorm",
  ...(modelType.startsWith("gemma") ? ["pre_feedforward_layernorm", "post_feedforward_layernorm"] : []),
];

const attentionOf = (shape: CheckpointShape, prefix: string): readonly TensorLayout[] => {
  const { modelType, hiddenSize: size, heads, kvHeads, headDim = size / heads } = shape;
  const output = weight(`${prefix}.o_proj`, size, heads * headDim);
  if (modelType === "phi3") return [weight(`${prefix}.qkv_proj`, (heads + 2 * kvHeads) * headDim, size), output];
  const projections = [
    ["q_proj", heads * headDim],
    ["k_proj", kvHeads * headDim],
    ["v_proj", kvHeads * headDim],
  ] as const;
  const all = [...projections.map(([name, out]) => weight(`${prefix}.${name}`, out, size)), output];
  switch (modelType) {
    case "qwen2":
      return [...all, ...projections.map(([name, out]) => other(`${prefix}.${name}.bias`, out))];
    case "gpt_oss":
      return [
        ...all,
        ...projections.map(([name, out]) => other(`${prefix}.${name}.bias`, out)),
        other(`${prefix}.o_proj.bias`, size),
        other(`${prefix}.sinks`, heads),
      ];
    case "qwen3":
    case "qwen3_moe":
    case "gemma3_text":
      return [...all, norm(`${prefix}.q_norm`, headDim), norm(`${prefix}.k_norm`, headDim)];
    default:
      return all;
  }
};

const feedForwardOf = ({ modelType, hiddenSize: size }: CheckpointShape, prefix: string): readonly TensorLayout[] => {
  const projections = (path: string, inner: number, ...count: readonly number[]) => [
    weight(`${path}.gate_proj`, ...count, inner, size),
    weight(`${path}.up_proj`, ...count, inner, size),
    weight(`${path}.down_proj`, ...count, size, inner),
  ];
  switch (modelType) {
    case "phi3":
      return [weight(`${prefix}.gate_up_proj`, 4 * size, size), weight(`${prefix}.down_proj`, size, 2 * size)];
    case "qwen3_moe":
      return [weight(`${prefix}.gate`, experts, size), ...projections(`${prefix}.switch_mlp`, size, experts)];
    case "gpt_oss":
      return [
        weight(`${prefix}.router`, experts, size),
        other(`${prefix}.router.bias`, experts),
        ...projections(`${prefix}.experts`, size, experts),
        ...["gate_proj", "up_proj", "down_proj"].map((name) => other(`${prefix}.experts.${name}.bias`, experts, size)),
      ];
    default:
      return projections(prefix, 2 * size);
  }
};
