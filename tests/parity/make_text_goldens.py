"""Tiny random Hugging Face text models: the directories that `sparsefusion-model convert --from hf` reads, and what
transformers answers with them.

    python make_text_goldens.py --out tests/parity/goldens [--seed 1]

Writes OUT/NAME/ (config.json, shards or one file, tokenizer.model, ...) and OUT/NAME.golden.safetensors with
ids [T], logits [T, V] and greedy [N] for NAME in mixtral (three shards, the hub's per-expert names), mixtral5 (the same
sizes under transformers 5's stacked names, but bf16 for f16), llama (f32, tied head, biases, grouped keys, a head_dim of its own) and
mistral (bf16, a sliding window).
"""
import argparse
import io
import json
import pathlib
import shutil

import sentencepiece
import torch
import transformers
from safetensors.torch import save_file

WORDS = ("what shape is the red object left right top bottom circle square blue green grey how many objects are there "
         "user assistant describe picture closest furthest colour yes no one two three four").split()


def tokenizer_model(seed: int, trims: bool = False) -> bytes:
    """A Llama-style model: BPE with byte fallback, dummy prefix, <unk> 0, <s> 1, </s> 2. `trims`: it removes extra spaces."""
    generator = torch.Generator().manual_seed(seed)
    lines = [" ".join(WORDS[i] for i in torch.randint(len(WORDS), (8,), generator=generator)) for _ in range(400)]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=310, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=trims, num_threads=1,
        minloglevel=2, unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    return out.getvalue()


def randomize(model: torch.nn.Module, seed: int, scale: float = 3.0) -> None:
    """Weights large enough that experts, heads and tokens differ clearly; norms and biases not at their identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() < 2:
                parameter.copy_((1.0 if "norm" in name and not name.endswith("bias") else 0.0) + 0.1 * noise)
            else:
                parameter.copy_(noise * scale / parameter.shape[-1] ** 0.5 / (1.0 if parameter.dim() > 3 else 2.0))


def round_weights(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """To what a file of `dtype` holds; the reference goes on computing in f32. Buffers (RoPE's frequencies) stay exact."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype).float())


def hub_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers 5's names -> those of the files on the hub."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("mlp.experts.gate_up_proj"):
            base = name.replace("mlp.experts.gate_up_proj", "block_sparse_moe.experts.")
            for e, expert in enumerate(tensor):
                gate, up = expert.chunk(2, 0)
                out[f"{base}{e}.w1.weight"], out[f"{base}{e}.w3.weight"] = gate, up
        elif name.endswith("mlp.experts.down_proj"):
            base = name.replace("mlp.experts.down_proj", "block_sparse_moe.experts.")
            for e, expert in enumerate(tensor):
                out[f"{base}{e}.w2.weight"] = expert
        elif name.endswith("mlp.gate.weight"):
            out[name.replace("mlp.gate", "block_sparse_moe.gate")] = tensor
        else:
            out[name] = tensor
    return {name: tensor.contiguous().clone() for name, tensor in out.items()}


def write_weights(directory: pathlib.Path, state: dict[str, torch.Tensor], shards: int) -> None:
    if shards == 1:
        save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
        return
    names, weight_map = sorted(state), {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: state[name] for name in names[i::shards]}
        save_file(part, directory / file, metadata={"format": "pt"})
        weight_map |= {name: file for name in part}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1))


def write_directory(directory: pathlib.Path, config: dict, state: dict[str, torch.Tensor], shards: int, seed: int) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    (directory / "tokenizer.model").write_bytes(tokenizer_model(seed))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "bos_token_id": 1}))
    write_weights(directory, state, shards)


@torch.no_grad()
def golden(model, ids: torch.Tensor, new_tokens: int, **images) -> dict[str, torch.Tensor]:
    logits = model(input_ids=ids[None], **images).logits[0]
    sequence = ids
    for _ in range(new_tokens):
        step = model(input_ids=sequence[None], **images).logits[0, -1]
        sequence = torch.cat([sequence, step.argmax()[None]])
    return {"ids": ids, "logits": logits.float().contiguous(), "greedy": sequence[len(ids):].contiguous()}


SIZES = dict(vocab_size=320, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128)


def plain_config(config: transformers.PretrainedConfig, architecture: str) -> dict:
    keys = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings", "hidden_act",
            "sliding_window", "attention_bias", "mlp_bias", "num_local_experts", "num_experts_per_tok")
    known = config.to_dict()
    out = {key: known[key] for key in keys if key in known}
    return out | {"architectures": [architecture], "rope_theta": known["rope_parameters"]["rope_theta"]}


def text_models(seed: int):
    mixtral = transformers.MixtralConfig(**SIZES, num_local_experts=4, num_experts_per_tok=2, rope_parameters={
        "rope_type": "default", "rope_theta": 10000.0})
    yield "mixtral", transformers.MixtralForCausalLM(mixtral), 3, hub_names, torch.float16
    yield "mixtral5", transformers.MixtralForCausalLM(mixtral), 1, dict, torch.bfloat16
    llama = transformers.LlamaConfig(**SIZES, head_dim=16, attention_bias=True, tie_word_embeddings=True, rms_norm_eps=1e-5)
    yield "llama", transformers.LlamaForCausalLM(llama), 1, dict, torch.float32
    mistral = transformers.MistralConfig(**SIZES, sliding_window=64)
    yield "mistral", transformers.MistralForCausalLM(mistral), 2, dict, torch.bfloat16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for name, model, shards, rename, dtype in text_models(args.seed):
        model.eval()
        randomize(model, args.seed)
        round_weights(model, dtype)
        state = {key: value for key, value in model.state_dict().items()
                 if not (model.config.tie_word_embeddings and key == "lm_head.weight")}
        state = {key: value.to(dtype).contiguous().clone() for key, value in rename(state).items()}
        config = plain_config(model.config, type(model).__name__)
        write_directory(args.out / name, config, state, shards, args.seed)
        ids = torch.randint(3, 310, (24,), generator=torch.Generator().manual_seed(args.seed + 7))
        save_file(golden(model, ids, 8), args.out / f"{name}.golden.safetensors")


if __name__ == "__main__":
    main()
