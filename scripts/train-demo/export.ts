import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { mx, type Tensor } from "./mlx.ts";
import type { Parameters, Shape } from "./model.ts";
import { loadTokenizer, tokenId, type TokenizerFiles } from "./tokenizer.ts";

/** The weights as they are stored and served: rounded to float16. */
export function rounded(parameters: Parameters): Parameters {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, tensor]) => [name, tensor.astype(mx.float16).astype(mx.float32)]),
  );
}

/** Writes the model in the Hugging Face layout. */
export function exportModel(folder: string, shape: Shape, parameters: Parameters, files: TokenizerFiles): void {
  const tokenizer = loadTokenizer(files);
  const ids = { endOfText: tokenId(tokenizer, "<|endoftext|>"), endOfTurn: tokenId(tokenizer, "<|im_end|>") };
  writeJsonFile(join(folder, "tokenizer.json"), files.tokenizer, true);
  writeJsonFile(join(folder, "tokenizer_config.json"), files.config);
  writeJsonFile(join(folder, "config.json"), {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    hidden_act: "silu",
    hidden_size: shape.hidden,
    intermediate_size: shape.feedForward,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.heads,
    head_dim: shape.headSize,
    max_position_embeddings: shape.context,
    rms_norm_eps: shape.epsilon,
    rope_theta: shape.ropeBase,
    rope_scaling: null,
    tie_word_embeddings: true,
    use_sliding_window: false,
    attention_dropout: 0,
    initializer_range: 0.04,
    use_cache: true,
    vocab_size: shape.vocabulary,
    bos_token_id: ids.endOfText,
    eos_token_id: ids.endOfTurn,
    torch_dtype: "float16",
  });
  writeJsonFile(join(folder, "generation_config.json"), {
    do_sample: false,
    temperature: 0,
    bos_token_id: ids.endOfText,
    pad_token_id: ids.endOfText,
    eos_token_id: [ids.endOfTurn, ids.endOfText],
  });
  const tensors = Object.fromEntries(
    Object.entries(huggingFaceTensors(shape, parameters)).map(([name, tensor]) => [
      name,
      contiguous(tensor.astype(mx.float16)),
    ]),
  );
  mx.eval(tensors);
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors));
}

/** One matrix per projection, [outputs, inputs], under Hugging Face's names. */
function huggingFaceTensors(shape: Shape, parameters: Parameters): Record<string, Tensor> {
  const weight = (name: string): Tensor => {
    const tensor = parameters[name];
    if (tensor === undefined) throw new Error(`the model has no weight ${name}`);
    return tensor;
  };
  const tensors: Record<string, Tensor> = {
    "model.embed_tokens.weight": weight("embedding"),
    "model.norm.weight": weight("norm"),
  };
  for (let layer = 0; layer < shape.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const matrices = mx.split(weight(`${layer}.qkv`), 3, 1);
    const biases = mx.split(weight(`${layer}.bias`), 3, 0);
    for (const [index, name] of ["q_proj", "k_proj", "v_proj"].entries()) {
      tensors[`${prefix}.self_attn.${name}.weight`] = mx.transpose(matrices[index] ?? weight(""));
      tensors[`${prefix}.self_attn.${name}.bias`] = biases[index] ?? weight("");
    }
    tensors[`${prefix}.self_attn.o_proj.weight`] = mx.transpose(weight(`${layer}.out`));
    const [gate, up] = mx.split(weight(`${layer}.gateUp`), 2, 1) as [Tensor, Tensor];
    tensors[`${prefix}.mlp.gate_proj.weight`] = mx.transpose(gate);
    tensors[`${prefix}.mlp.up_proj.weight`] = mx.transpose(up);
    tensors[`${prefix}.mlp.down_proj.weight`] = mx.transpose(weight(`${layer}.down`));
    tensors[`${prefix}.input_layernorm.weight`] = weight(`${layer}.inputNorm`);
    tensors[`${prefix}.post_attention_layernorm.weight`] = weight(`${layer}.postNorm`);
  }
  return tensors;
}

function contiguous(tensor: Tensor): Tensor {
  return mx.reshape(mx.reshape(tensor, [-1]), tensor.shape);
}

/** The safetensors format: the header's length, a JSON header, the values one tensor after the other. */
function encodeSafetensors(tensors: Record<string, Tensor>): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const parts: Buffer[] = [];
  let offset = 0;
  for (const name of Object.keys(tensors).sort()) {
    const tensor = tensors[name];
    if (tensor === undefined) continue;
    // A Float16Array's bytes are little-endian on every machine that MLX runs on.
    const values = new Float16Array(mx.reshape(tensor.astype(mx.float32), [-1]).tolist() as number[]);
    parts.push(Buffer.from(values.buffer));
    header[name] = { dtype: "F16", shape: tensor.shape, data_offsets: [offset, (offset += values.byteLength)] };
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json + " ".repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.byteLength));
  return Buffer.concat([length, text, ...parts]);
}

function writeJsonFile(path: string, value: unknown, compact = false): void {
  writeFileSync(path, `${JSON.stringify(value, null, compact ? undefined : 2)}\n`);
}
