"""A tiny random LLaVA (CLIP tower, two-layer projector, Mixtral text) as a Hugging Face directory, and what transformers
answers with it: from pixels and ids, and to a question about a picture under the llava-1.5 template.

    python make_llava_goldens.py --out tests/parity/goldens [--seed 1]

Writes OUT/llava/ (the hub's names, two shards; the test renames them to transformers 5's), OUT/llava.png, and OUT/llava.golden.safetensors with ids [T], pixels [1, 3, S, S], logits [T, V], greedy [N], and
of the question about the picture: prompt_ids, prompt_pixels, answer_ids [N].
"""
import argparse
import json
import pathlib

import numpy
import sentencepiece
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

import make_text_goldens as text

SIDE, PATCH, IMAGE_TOKEN = 42, 14, 312
QUESTION = "what shape is the red object"
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def llava_model() -> transformers.LlavaForConditionalGeneration:
    vision = transformers.CLIPVisionConfig(hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                                           image_size=SIDE, patch_size=PATCH, projection_dim=32)
    mixtral = transformers.MixtralConfig(**text.SIZES, num_local_experts=4, num_experts_per_tok=2, rope_parameters={
        "rope_type": "default", "rope_theta": 10000.0})
    config = transformers.LlavaConfig(vision_config=vision, text_config=mixtral, image_token_index=IMAGE_TOKEN,
                                      vision_feature_layer=-2, image_seq_length=(SIDE // PATCH) ** 2)
    return transformers.LlavaForConditionalGeneration(config)


def hub_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    out = {}
    for name, tensor in text.hub_names(state).items():
        name = name.removeprefix("model.")
        if name.startswith("language_model."):
            name = "language_model.model." + name.removeprefix("language_model.")
        elif name.startswith("vision_tower.") and not name.startswith("vision_tower.vision_model."):
            name = "vision_tower.vision_model." + name.removeprefix("vision_tower.")
        elif name == "lm_head.weight":
            name = "language_model.lm_head.weight"
        out[name] = tensor
    return out


def config_json(config: transformers.LlavaConfig) -> dict:
    vision = config.vision_config.to_dict()
    keys = ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
            "patch_size", "hidden_act", "layer_norm_eps")
    plain = text.plain_config(config.text_config, "MixtralForCausalLM")
    return {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "image_token_index": IMAGE_TOKEN,
            "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "projector_hidden_act": "gelu",
            "tie_word_embeddings": False, "text_config": plain, "vision_config": {key: vision[key] for key in keys}}


def write(directory: pathlib.Path, model, state, shards: int, seed: int) -> None:
    text.write_directory(directory, config_json(model.config), state, shards, seed)
    (directory / "preprocessor_config.json").write_text(json.dumps({
        "do_resize": True, "size": {"shortest_edge": SIDE}, "resample": 3, "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE}, "do_normalize": True, "image_mean": MEAN, "image_std": STD}))
    (directory / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "added_tokens_decoder": {
            "1": {"content": "<s>", "special": True}, "2": {"content": "</s>", "special": True},
            str(IMAGE_TOKEN): {"content": "<image>", "special": True}}}))
    (directory / "added_tokens.json").write_text(json.dumps({"<image>": IMAGE_TOKEN, "<pad>": IMAGE_TOKEN + 1}))


def question_ids(directory: pathlib.Path) -> torch.Tensor:
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(directory / "tokenizer.model"))
    image = [IMAGE_TOKEN] * (SIDE // PATCH) ** 2
    return torch.tensor([1] + pieces.encode("USER: ") + image + pieces.encode(f"\n{QUESTION} ASSISTANT:"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model = llava_model().eval()
    text.randomize(model, args.seed)
    text.round_weights(model, torch.bfloat16)
    state = {key: value.to(torch.bfloat16).contiguous() for key, value in model.state_dict().items()
             if not key.endswith("position_ids")}
    write(args.out / "llava", model, hub_names(state), 2, args.seed)
    generator = torch.Generator().manual_seed(args.seed + 7)
    ids = torch.cat([torch.tensor([1, 40, 50]), torch.full(((SIDE // PATCH) ** 2,), IMAGE_TOKEN),
                     torch.randint(3, 310, (10,), generator=generator)])
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=generator)
    tensors = text.golden(model, ids, 8, pixel_values=pixels) | {"pixels": pixels}
    picture = torch.randint(256, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
    Image.fromarray(numpy.asarray(picture)).save(args.out / "llava.png")
    seen = ((picture.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)[None]
    prompt = question_ids(args.out / "llava")
    tensors |= {"prompt_ids": prompt, "prompt_pixels": seen.contiguous()}
    tensors["answer_ids"] = text.golden(model, prompt, 8, pixel_values=seen)["greedy"]
    save_file(tensors, args.out / "llava.golden.safetensors")


if __name__ == "__main__":
    main()
