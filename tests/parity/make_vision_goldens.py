"""Goldens of the vision encoder: random weights through timm and transformers, pictures through PIL.

    python tests/parity/make_vision_goldens.py --out tests/parity/goldens
    python tests/parity/make_vision_goldens.py --out DIR --full     # ViT-S/16 and CLIP-B/16 at full size

timm_vit.safetensors and clip_vit.safetensors are files as those libraries write them; *_outputs.safetensors hold inputs
and what the library gives for them. C++ reads them in tests/parity/vision_parity_test.cc.
"""
import argparse
import pathlib

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform
from timm.layers import resample_abs_pos_embed
from torchvision.transforms import Resize
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil


def randomise(model, scale):
    """Every parameter random, biases, norms and positions too: nothing may cancel."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif parameter.dim() < 2 or "pos" in name or "cls" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(noise * scale / parameter[0].numel() ** 0.5)
    return model.eval()


def write(folder, name, tensors):
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / name, metadata={"format": "pt"})


@torch.no_grad()
def timm_golden(folder, prefix, full):
    torch.manual_seed(11)
    if full:
        model = randomise(timm.create_model("vit_small_patch16_224", pretrained=False), 1.0)
        size, other = 224, 96
    else:
        model = randomise(timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2,
                                                        mlp_ratio=2, num_classes=3), 1.5)
        size, other = 32, None
    write(folder, f"{prefix}.safetensors", model.state_dict())
    pixels = torch.randn(1 if full else 2, 3, size, size)
    outputs = {"pixels": pixels, "hidden": model.forward_features(pixels)}
    grid = model.patch_embed.grid_size
    for rows, columns in [(6, 6)] if full else [(6, 3), (2, 7), (4, 4)]:
        outputs[f"positions_{rows}x{columns}"] = resample_abs_pos_embed(model.pos_embed, [rows, columns], list(grid))
    if other:  # timm's own way to another size: the table is resampled once, at loading
        resampled = timm.create_model("vit_small_patch16_224", pretrained=False, img_size=other)
        state = dict(model.state_dict())
        state["pos_embed"] = outputs["positions_6x6"]
        resampled.load_state_dict(state)
    else:
        resampled = timm.models.VisionTransformer(img_size=(48, 24), patch_size=8, embed_dim=32, depth=2, num_heads=2,
                                                  mlp_ratio=2, num_classes=3)
        state = dict(model.state_dict())
        state["pos_embed"] = outputs["positions_6x3"]
        resampled.load_state_dict(state)
    shape = (other, other) if other else (48, 24)
    outputs["other_pixels"] = torch.randn(1, 3, *shape)
    outputs["other_hidden"] = resampled.eval().forward_features(outputs["other_pixels"])
    write(folder, f"{prefix}_outputs.safetensors", outputs)
    if not full:  # the same encoder in half precisions: what a file of them must become
        for dtype, name in [(torch.float16, "f16"), (torch.bfloat16, "bf16")]:
            small = {k: v.to(dtype) for k, v in model.state_dict().items() if k.startswith(("cls", "pos", "patch", "norm"))}
            write(folder, f"{prefix}_{name}.safetensors", small)


@torch.no_grad()
def clip_golden(folder, prefix, full):
    torch.manual_seed(12)
    if full:
        config = CLIPVisionConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                                  image_size=224, patch_size=16)
    else:
        config = CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2,
                                  image_size=32, patch_size=8, projection_dim=16)
    model = randomise(CLIPVisionModel(config), 1.0 if full else 1.5)
    # The names of the hub's files; transformers 5 writes them without "vision_model.".
    names = {key if key.startswith("vision_model.") else f"vision_model.{key}": value for key, value in model.state_dict().items()}
    count = (config.image_size // config.patch_size) ** 2 + 1
    names["vision_model.embeddings.position_ids"] = torch.arange(count)[None]
    names["visual_projection.weight"] = torch.randn(16, config.hidden_size)
    names["logit_scale"] = torch.tensor(2.6)
    names["text_model.final_layer_norm.weight"] = torch.ones(16)
    names["text_projection.weight"] = torch.randn(16, 16)
    write(folder, f"{prefix}.safetensors", names)
    pixels = torch.randn(1 if full else 2, 3, config.image_size, config.image_size)
    out = model(pixels, output_hidden_states=True)
    write(folder, f"{prefix}_outputs.safetensors", {
        "pixels": pixels, "last_hidden_state": out.last_hidden_state, "pooler_output": out.pooler_output,
        "second_to_last": out.hidden_states[-2], "post_norm": model_post_norm(model)(out.last_hidden_state)})


def model_post_norm(model):
    return getattr(model, "vision_model", model).post_layernorm


def picture(rng, width, height):
    """Hard edges between black and white, a gradient and noise: what a wrong filter, order or crop shows on."""
    y, x = np.mgrid[0:height, 0:width]
    noise = rng.integers(0, 2, (height, width)) * 255
    image = np.stack([x * 255 // max(width - 1, 1), noise, ((x // 3 + y // 5) % 2) * 255], -1)
    return image.astype(np.uint8)


def picture_golden(folder):
    """Sizes whose leftovers after the resize are odd and of both kinds of parity, larger and smaller than the crop."""
    rng = np.random.default_rng(13)
    transform = create_transform((3, 32, 32), interpolation="bicubic", crop_pct=0.9, crop_mode="center", is_training=False,
                                 mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2))
    exact = create_transform((3, 32, 32), interpolation="bicubic", crop_pct=32 / 37, crop_mode="center", is_training=False,
                             mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    hf = CLIPImageProcessorPil(size={"shortest_edge": 37}, crop_size={"height": 32, "width": 32}, do_rescale=False,
                               do_normalize=False)
    tensors = {}
    for width, height in [(57, 41), (40, 101), (33, 33), (20, 31), (131, 37), (37, 60), (9, 200), (52, 150), (47, 110)]:
        image = picture(rng, width, height)
        key = f"{width}x{height}"
        pil = Image.fromarray(image)
        tensors[f"picture_{key}"] = torch.from_numpy(image)
        tensors[f"timm_{key}"] = transform(pil)                         # f32 [3, 32, 32], resized to 35
        tensors[f"timm37_{key}"] = (exact(pil) * 255).round().to(torch.uint8)
        tensors[f"seed_{key}"] = torch.from_numpy(np.asarray(Resize((32, 32))(pil)).copy())  # the original's: bilinear
        tensors[f"clip37_{key}"] = torch.from_numpy(np.asarray(hf(pil)["pixel_values"][0])).to(torch.uint8)
    write(folder, "pictures.safetensors", tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--full", action="store_true", help="ViT-S/16 and CLIP-B/16 at full size (about 450 MB)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.use_deterministic_algorithms(True)
    if arguments.full:
        timm_golden(arguments.out, "timm_vit_full", True)
        clip_golden(arguments.out, "clip_vit_full", True)
    else:
        timm_golden(arguments.out, "timm_vit", False)
        clip_golden(arguments.out, "clip_vit", False)
        picture_golden(arguments.out)


if __name__ == "__main__":
    main()
