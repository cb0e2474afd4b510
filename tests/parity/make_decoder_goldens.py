"""What transformers' decoders answer where dense and routed layers mix and where vision features are injected: the goldens
of decoder_parity_test.cc, weights already under this project's names.

    python make_decoder_goldens.py --out tests/parity/goldens [--seed 1]

Writes OUT/qwen3_moe.golden.safetensors (Qwen3MoeForCausalLM: mlp_only_layers, decoder_sparse_step, q/k norm, norm_topk_prob)
and OUT/deepstack.golden.safetensors (Qwen3VLMoeTextModel with deepstack_visual_embeds out of the vision tower's own mergers).
"""
import argparse
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.qwen3_vl_moe import modeling_qwen3_vl_moe as qwen3_vl

from make_text_goldens import randomize

SIZES = dict(vocab_size=48, hidden_size=16, intermediate_size=20, moe_intermediate_size=12, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, num_experts=4, num_experts_per_tok=2, max_position_embeddings=64,
             tie_word_embeddings=False, norm_topk_prob=True, rms_norm_eps=1e-6)
ROPE = {"rope_type": "default", "rope_theta": 10000.0}


def block(state: dict[str, torch.Tensor], source: str, name: str) -> dict[str, torch.Tensor]:
    """One decoder layer under this project's names."""
    out = {f"{name}.attention_norm.weight": state[f"{source}.input_layernorm.weight"],
           f"{name}.moe_norm.weight": state[f"{source}.post_attention_layernorm.weight"]}
    for part in "qkvo":
        out[f"{name}.attention.{part}_proj"] = state[f"{source}.self_attn.{part}_proj.weight"]
    for part in "qk":
        out[f"{name}.attention.{part}_norm.weight"] = state[f"{source}.self_attn.{part}_norm.weight"]
    if f"{source}.mlp.gate.weight" in state:
        out[f"{name}.moe.router.weight"] = state[f"{source}.mlp.gate.weight"]
        out[f"{name}.moe.experts.gate_up"] = state[f"{source}.mlp.experts.gate_up_proj"]
        out[f"{name}.moe.experts.down"] = state[f"{source}.mlp.experts.down_proj"]
    else:
        out[f"{name}.mlp.gate_up"] = torch.cat([state[f"{source}.mlp.gate_proj.weight"], state[f"{source}.mlp.up_proj.weight"]])[None]
        out[f"{name}.mlp.down"] = state[f"{source}.mlp.down_proj.weight"][None]
    return out


def decoder(model: torch.nn.Module, prefix: str, layers: int) -> dict[str, torch.Tensor]:
    state = model.state_dict()
    out = {"decoder.embedding": state[f"{prefix}embed_tokens.weight"], "decoder.norm.weight": state[f"{prefix}norm.weight"]}
    for i in range(layers):
        out |= block(state, f"{prefix}layers.{i}", f"decoder.block{i}")
    return out


def save(path: pathlib.Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, path)


@torch.no_grad()
def qwen3_moe(seed: int) -> dict[str, torch.Tensor]:
    config = transformers.Qwen3MoeConfig(**SIZES, num_hidden_layers=5, mlp_only_layers=[3], decoder_sparse_step=2,
                                         rope_parameters=ROPE)
    model = transformers.Qwen3MoeForCausalLM(config).eval()
    randomize(model, seed)
    ids = torch.randint(48, (20,), generator=torch.Generator().manual_seed(seed))
    tensors = decoder(model, "model.", 5) | {"decoder.head": model.lm_head.weight}
    return tensors | {"ids": ids, "logits": model(input_ids=ids[None]).logits[0]}


@torch.no_grad()
def deepstack(seed: int) -> dict[str, torch.Tensor]:
    """A prompt of 3 words, a picture of 4 x 6 vision tokens (2 x 3 image tokens) and 5 words; two layers are injected."""
    config = qwen3_vl.Qwen3VLMoeTextConfig(**{k: v for k, v in SIZES.items() if k != "norm_topk_prob"}, num_hidden_layers=3,
                                           mlp_only_layers=[1], rope_parameters=ROPE | {"mrope_section": [2, 1, 1]})
    model = qwen3_vl.Qwen3VLMoeTextModel(config).eval()
    vision = qwen3_vl.Qwen3VLMoeVisionConfig(hidden_size=8, out_hidden_size=16, spatial_merge_size=2)
    mergers = [qwen3_vl.Qwen3VLMoeVisionPatchMerger(vision, use_postshuffle_norm=True) for _ in range(2)]
    generator = torch.Generator().manual_seed(seed)
    tensors, embeds = decoder_of(model, mergers, seed), []
    for i, merger in enumerate(mergers):
        features = torch.randn(4, 6, 8, generator=generator)
        tensors[f"vision{i}"] = features.view(1, 24, 8)
        # The tower orders its tokens by merged cells.
        embeds.append(merger(features.view(2, 2, 3, 2, 8).permute(0, 2, 1, 3, 4).reshape(24, 8)))
        tensors[f"injected{i}"] = embeds[-1]
    x = torch.randn(14, 16, generator=generator)
    mask = torch.zeros(1, 14, dtype=torch.bool)
    mask[0, 3:9] = True
    hidden = model(inputs_embeds=x[None], visual_pos_masks=mask, deepstack_visual_embeds=embeds, use_cache=False)
    return tensors | {"x": x, "hidden": hidden.last_hidden_state[0]}


def decoder_of(model: torch.nn.Module, mergers: list[torch.nn.Module], seed: int) -> dict[str, torch.Tensor]:
    randomize(model, seed)
    tensors = decoder(model, "", 3)
    for i, merger in enumerate(mergers):
        randomize(merger, seed + 1 + i)
        for theirs, ours in (("norm", "norm"), ("linear_fc1", "fc1"), ("linear_fc2", "fc2")):
            for kind in ("weight", "bias"):
                tensors[f"deepstack{i}.{ours}_{kind}"] = merger.state_dict()[f"{theirs}.{kind}"]
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    save(args.out / "qwen3_moe.golden.safetensors", qwen3_moe(args.seed))
    save(args.out / "deepstack.golden.safetensors", deepstack(args.seed))


if __name__ == "__main__":
    main()
