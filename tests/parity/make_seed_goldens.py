"""The forward pass of the original SparseFusion (seemore's seeMoE.py) restated from its published description, with tiny
random weights: the state_dict as torch.save writes it, and its logits.

    python make_seed_goldens.py --out tests/parity/goldens [--seed 1]

Writes OUT/seed.pth and OUT/seed.golden.safetensors with ids [T], pixels [1, 3, S, S], logits [1 + T, V] (the picture's own
position first) and greedy [N].
"""
import argparse
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Separate heads without biases; scores times width^-0.5, not head width^-0.5."""

    def __init__(self, width: int, heads: int, causal: bool):
        super().__init__()
        head = lambda: nn.ModuleDict({part: nn.Linear(width, width // heads, bias=False) for part in ("key", "query", "value")})
        self.heads = nn.ModuleList(head() for _ in range(heads))
        self.proj = nn.Linear(width, width)
        self.causal = causal

    def forward(self, x):
        outputs = []
        for head in self.heads:
            scores = head["query"](x) @ head["key"](x).transpose(1, 2) / x.shape[-1] ** 0.5
            if self.causal:
                scores = scores + torch.full(scores.shape[1:], float("-inf")).triu(1)
            outputs.append(scores.softmax(-1) @ head["value"](x))
        return self.proj(torch.cat(outputs, -1))


class FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, out: int, act: nn.Module):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, hidden), act, nn.Linear(hidden, out), nn.Dropout(0.0))

    def forward(self, x):
        return self.net(x)


class Router(nn.Module):
    def __init__(self, width: int, experts: int):
        super().__init__()
        self.topkroute_linear = nn.Linear(width, experts)
        self.noise_linear = nn.Linear(width, experts)  # of training only, here


class SparseMoe(nn.Module):
    def __init__(self, width: int, experts: int, top_k: int):
        super().__init__()
        self.router = Router(width, experts)
        self.experts = nn.ModuleList(FeedForward(width, 4 * width, width, nn.ReLU()) for _ in range(experts))
        self.top_k = top_k

    def forward(self, x):
        logits, chosen = self.router.topkroute_linear(x).topk(self.top_k, -1)
        gates = torch.zeros(*x.shape[:-1], len(self.experts)).scatter(-1, chosen, logits.softmax(-1))
        return sum(gates[..., e : e + 1] * expert(x) for e, expert in enumerate(self.experts))


class Block(nn.Module):
    """The feed-forward's residual starts behind its norm: x = ln2(x + attention); x + ffn(x)."""

    def __init__(self, width: int, heads: int, causal: bool, name: str, ffn: nn.Module):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = SelfAttention(width, heads, causal)
        self.add_module(name, ffn)
        self.name = name

    def forward(self, x):
        x = self.ln2(x + self.attn(self.ln1(x)))
        return x + getattr(self, self.name)(x)


class Patches(nn.Module):
    def __init__(self, width: int, patch: int):
        super().__init__()
        self.conv = nn.Conv2d(3, width, patch, patch)

    def forward(self, pixels):
        return self.conv(pixels).flatten(2).transpose(1, 2)


class VisionEncoder(nn.Module):
    def __init__(self, side: int, patch: int, width: int, heads: int, layers: int):
        super().__init__()
        self.patch_embedding = Patches(width, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.zeros(1, (side // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(
            Block(width, heads, False, "ffn", FeedForward(width, 4 * width, width, nn.ReLU())) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, pixels):
        patches = self.patch_embedding(pixels)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self.pos_embedding
        for block in self.blocks:
            x = block(x)
        return self.layer_norm(x[:, 0])


class Decoder(nn.Module):
    def __init__(self, width: int, image_width: int, vocab: int, heads: int, layers: int, experts: int, top_k: int, context: int):
        super().__init__()
        self.token_embedding_table = nn.Embedding(vocab, width)
        self.position_embedding_table = nn.Embedding(context, width)
        self.image_projection = FeedForward(image_width, 4 * image_width, width, nn.GELU())
        self.sparseMoEBlocks = nn.Sequential(
            *[Block(width, heads, True, "sparseMoE", SparseMoe(width, experts, top_k)) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocab)

    def forward(self, ids, image):
        x = torch.cat([self.image_projection(image)[:, None], self.token_embedding_table(ids)], 1)
        x = x + self.position_embedding_table.weight[: x.shape[1]]
        return self.lm_head(self.ln_f(self.sparseMoEBlocks(x)))


class Seed(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision_encoder = VisionEncoder(side=32, patch=8, width=12, heads=3, layers=2)
        self.decoder = Decoder(width=16, image_width=12, vocab=66, heads=2, layers=2, experts=3, top_k=2, context=64)

    def forward(self, pixels, ids):
        return self.decoder(ids, self.vision_encoder(pixels))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(args.seed)
    model = Seed().eval()
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        is_norm = ".ln" in name or "layer_norm" in name
        if parameter.dim() < 2:
            parameter.copy_((1.0 if is_norm and name.endswith("weight") else 0.0) + 0.2 * noise)
        else:
            parameter.copy_(noise * (2.0 / parameter.shape[-1] ** 0.5 if parameter.dim() == 2 else 0.2))
    torch.save(model.state_dict(), args.out / "seed.pth")
    pixels = torch.randn(1, 3, 32, 32, generator=generator)
    ids = torch.randint(65, (12,), generator=generator)
    logits, sequence = model(pixels, ids[None])[0], ids
    for _ in range(8):
        sequence = torch.cat([sequence, model(pixels, sequence[None])[0, -1].argmax()[None]])
    save_file({"ids": ids, "pixels": pixels, "logits": logits.contiguous(), "greedy": sequence[len(ids):].contiguous()},
              args.out / "seed.golden.safetensors")


if __name__ == "__main__":
    main()
