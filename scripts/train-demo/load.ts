import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mx, type Tensor } from "./mlx.ts";
import type { Parameters, Shape } from "./model.ts";
import type { TokenizerFiles } from "./tokenizer.ts";

/** Reads back what `exportModel` wrote. */
export function loadModel(folder: string, shape: Shape): { parameters: Parameters; files: TokenizerFiles } {
  const tensors = decodeSafetensors(readFileSync(join(folder, "model.safetensors")));
  const tensor = (name: string): Tensor => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`model.safetensors has no tensor ${name}`);
    return found;
  };
  const parameters: Parameters = { embedding: tensor("model.embed_tokens.weight"), norm: tensor("model.norm.weight") };
  for (let layer = 0; layer < shape.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const projections = ["q_proj", "k_proj", "v_proj"].map((name) => `${prefix}.self_attn.${name}`);
    const transposed = (name: string): Tensor => mx.transpose(tensor(`${prefix}.${name}.weight`));
    Object.assign(parameters, {
      [`${layer}.qkv`]: mx.transpose(
        mx.concatenate(
          projections.map((name) => tensor(`${name}.weight`)),
          0,
        ),
      ),
      [`${layer}.bias`]: mx.concatenate(
        projections.map((name) => tensor(`${name}.bias`)),
        0,
      ),
      [`${layer}.out`]: transposed("self_attn.o_proj"),
      [`${layer}.gateUp`]: mx.concatenate([transposed("mlp.gate_proj"), transposed("mlp.up_proj")], 1),
      [`${layer}.down`]: transposed("mlp.down_proj"),
      [`${layer}.inputNorm`]: tensor(`${prefix}.input_layernorm.weight`),
      [`${layer}.postNorm`]: tensor(`${prefix}.post_attention_layernorm.weight`),
    });
  }
  mx.eval(parameters);
  return {
    parameters,
    files: {
      tokenizer: readJson(join(folder, "tokenizer.json")),
      config: readJson(join(folder, "tokenizer_config.json")),
    },
  };
}

function decodeSafetensors(file: Buffer): Map<string, Tensor> {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = entry.data_offsets;
    const values = new Float16Array(Uint8Array.from(file.subarray(start + from, start + to)).buffer);
    tensors.set(name, mx.reshape(mx.array(Array.from(values), mx.float32), entry.shape));
  }
  return tensors;
}

function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}
